package registry_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/fxkit/fxkit/fxetcd/registry"
)

// patience is how long a test waits for what must happen before it gives up.
const patience = 20 * time.Second

// calls counts what a client asks of a server, by method.
type calls struct {
	mu sync.Mutex
	by map[string]int
}

func (c *calls) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[method]
}

func (c *calls) add(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[method]++
}

const (
	grantMethod  = "/etcdserverpb.Lease/LeaseGrant"
	aliveMethod  = "/etcdserverpb.Lease/LeaseKeepAlive"
	revokeMethod = "/etcdserverpb.Lease/LeaseRevoke"
	watchMethod  = "/etcdserverpb.Watch/Watch"
	watchCreated = "a watch" // of any number over that stream
	watchEnded   = "the end of such a stream"
	putMethod    = "/etcdserverpb.KV/Put"
	txnMethod    = "/etcdserverpb.KV/Txn"
)

// watchStream counts the watches that are asked for over one stream.
type watchStream struct {
	grpc.ClientStream
	calls *calls
}

func (s watchStream) SendMsg(m any) error {
	if request, ok := m.(*etcdserverpb.WatchRequest); ok && request.GetCreateRequest() != nil {
		s.calls.add(watchCreated)
	}
	return s.ClientStream.SendMsg(m)
}

func newClient(tb testing.TB, endpoints []string, change ...func(*clientv3.Config)) (*clientv3.Client, *calls) {
	tb.Helper()
	n := &calls{by: map[string]int{}}
	cfg := clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(), DialTimeout: time.Second,
		DialOptions: []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				n.add(method)
				return invoke(ctx, method, req, reply, cc, opts...)
			}),
			grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				n.add(method)
				s, err := streamer(ctx, desc, cc, method, opts...)
				if err == nil && method == watchMethod {
					s = watchStream{s, n}
					context.AfterFunc(ctx, func() { n.add(watchEnded) })
				}
				return s, err
			}),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 100 * time.Millisecond},
				MinConnectTimeout: time.Second,
			}),
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := clientv3.New(cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, c.Close()) })
	return c, n
}

// around has f make each unary call of a client, or not.
func around(f func(ctx context.Context, method string, call func() error) error) func(*clientv3.Config) {
	return func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainUnaryInterceptor(
			func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				return f(ctx, method, func() error { return invoke(ctx, method, req, reply, cc, opts...) })
			}))
	}
}

// aroundAlive has f wrap each stream of keepalives of a client.
func aroundAlive(f func(grpc.ClientStream) grpc.ClientStream) func(*clientv3.Config) {
	return func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				s, err := streamer(ctx, desc, cc, method, opts...)
				if err == nil && method == aliveMethod {
					s = f(s)
				}
				return s, err
			}))
	}
}

func newRegistry(tb testing.TB, c *clientv3.Client, cfg registry.Config, opts ...registry.Option) *registry.Registry {
	tb.Helper()
	r, err := registry.New(c, cfg, append([]registry.Option{registry.WithLogger(zap.NewNop())}, opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		assert.NoError(tb, r.Stop(ctx))
	})
	return r
}

func register(tb testing.TB, r *registry.Registry, in registry.Instance) *registry.Registration {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	g, err := r.Register(ctx, in)
	require.NoError(tb, err)
	return g
}

// at is the addresses of a service as the registry knows them.
func at(tb testing.TB, r *registry.Registry, service string) []string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	all, err := r.Instances(ctx, service)
	if !assert.NoError(tb, err) {
		return nil
	}
	addresses := []string{}
	for _, in := range all {
		addresses = append(addresses, in.Address)
	}
	return addresses
}

// raw is the keys below services/ and their values, as etcd has them.
func raw(tb testing.TB, c *clientv3.Client) map[string]string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	r, err := c.Get(ctx, "services/", clientv3.WithPrefix())
	if !assert.NoError(tb, err) {
		return nil
	}
	all := map[string]string{}
	for _, kv := range r.Kvs {
		all[string(kv.Key)] = string(kv.Value)
	}
	return all
}

func eventually(tb testing.TB, condition func() bool, what string) {
	tb.Helper()
	require.Eventually(tb, condition, patience, 2*time.Millisecond, what)
}

// within asserts that a condition comes true in time, and not only at last.
func within(tb testing.TB, limit time.Duration, condition func() bool, what string) {
	tb.Helper()
	start := time.Now()
	eventually(tb, condition, what)
	assert.Less(tb, time.Since(start), limit, what)
}

// guarded waits until a registration's key is put back as soon as it is deleted.
func guarded(tb testing.TB, c *clientv3.Client, key string) {
	tb.Helper()
	_, err := c.Delete(tb.Context(), key)
	require.NoError(tb, err)
	eventually(tb, func() bool { return raw(tb, c)[key] != "" }, key+" is guarded")
}

// withUsers turns on authentication. User root, with password r, may do everything; app, with password x, what its roles say, each of which is named
// for the keys that it may read and write: one, or all that begin with a name that ends in a slash.
func withUsers(tb testing.TB, c *clientv3.Client, roles ...string) {
	tb.Helper()
	ctx := tb.Context()
	do := func(_ any, err error) {
		tb.Helper()
		require.NoError(tb, err)
	}
	do(c.UserAdd(ctx, "root", "r"))
	do(c.UserGrantRole(ctx, "root", "root"))
	do(c.UserAdd(ctx, "app", "x"))
	for _, keys := range roles {
		end := ""
		if strings.HasSuffix(keys, "/") {
			end = clientv3.GetPrefixRangeEnd(keys)
		}
		do(c.RoleAdd(ctx, keys))
		do(c.RoleGrantPermission(ctx, keys, keys, end, clientv3.PermissionType(clientv3.PermReadWrite)))
		do(c.UserGrantRole(ctx, "app", keys))
	}
	do(c.AuthEnable(ctx))
}

func as(user, password string) func(*clientv3.Config) {
	return func(cfg *clientv3.Config) { cfg.Username, cfg.Password = user, password }
}

// fill writes until the server has no space left.
func fill(tb testing.TB, c *clientv3.Client) {
	tb.Helper()
	big := strings.Repeat("x", 256<<10)
	var err error
	for i := 0; err == nil; i++ {
		_, err = c.Put(tb.Context(), fmt.Sprint("big/", i), big)
	}
	require.ErrorIs(tb, err, rpctypes.ErrNoSpace)
}

func order(id string) registry.Instance {
	return registry.Instance{Service: "order", ID: id, Address: "10.0.0.1:80"}
}
