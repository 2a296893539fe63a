package watch_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

// patience is how long a test waits for what must happen before it gives up.
const patience = 20 * time.Second

// consumer watches a prefix and keeps what it was given.
type consumer struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	groups  [][]watch.Event
	errs    []error
	held    map[string]string
	pos     int64
	paused  chan struct{} // not nil: the consumer waits until it is closed
}

func consume(tb testing.TB, c *clientv3.Client, prefix string, opts ...watch.Option) *consumer {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k := &consumer{cancel: cancel, done: make(chan struct{}), changed: make(chan struct{}), held: map[string]string{}}
	go func() {
		defer close(k.done)
		for group, err := range watch.Revisions(ctx, c, prefix, opts...) {
			k.take(group, err)
		}
	}()
	tb.Cleanup(k.stop)
	return k
}

func (k *consumer) take(group []watch.Event, err error) {
	k.mu.Lock()
	paused := k.paused
	k.mu.Unlock()
	if paused != nil {
		<-paused
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.errs = append(k.errs, err)
	} else {
		k.groups = append(k.groups, group)
		apply(k.held, group)
		k.pos = group[len(group)-1].Revision
	}
	close(k.changed)
	k.changed = make(chan struct{})
}

func apply(held map[string]string, group []watch.Event) {
	for _, e := range group {
		switch e.Type {
		case watch.Put:
			held[e.Key] = string(e.Value)
		case watch.Delete:
			delete(held, e.Key)
		case watch.Reset:
			clear(held)
		case watch.Synced:
		}
	}
}

func (k *consumer) stop() {
	k.resume()
	k.cancel()
	<-k.done
}

// pause makes the consumer slow: it takes the next group, and then waits for resume.
func (k *consumer) pause() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.paused = make(chan struct{})
}

func (k *consumer) resume() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.paused != nil {
		close(k.paused)
		k.paused = nil
	}
}

// await waits until the condition holds. It is asked with the consumer locked, each time that something has come.
func (k *consumer) await(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.After(patience)
	for {
		k.mu.Lock()
		ok, changed := condition(), k.changed
		k.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			k.mu.Lock()
			defer k.mu.Unlock()
			require.FailNow(tb, "not within "+patience.String()+": "+what, "held: %v, groups: %v, errors: %v", k.held, k.groups, k.errs)
		}
	}
}

func (k *consumer) holds(key, value string) func() bool {
	return func() bool { v, ok := k.held[key]; return ok && v == value }
}

func (k *consumer) lacks(key string) func() bool {
	return func() bool { _, ok := k.held[key]; return !ok }
}

func (k *consumer) events() (all []watch.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, g := range k.groups {
		all = append(all, g...)
	}
	return all
}

func (k *consumer) state() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.held)
}

// keys is what etcd itself holds.
func keys(tb testing.TB, c *clientv3.Client, prefix string) map[string]string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	r, err := c.Get(ctx, prefix, clientv3.WithPrefix())
	require.NoError(tb, err)
	held := map[string]string{}
	for _, kv := range r.Kvs {
		held[string(kv.Key)] = string(kv.Value)
	}
	return held
}

// calls counts what a client asks of a server.
type calls struct {
	mu      sync.Mutex
	unary   map[string]int
	streams map[string]int
}

func (c *calls) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unary[method] + c.streams[method]
}

func (c *calls) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.unary {
		n += k
	}
	for _, k := range c.streams {
		n += k
	}
	return n
}

const rangeMethod, watchMethod = "/etcdserverpb.KV/Range", "/etcdserverpb.Watch/Watch"

func newClient(tb testing.TB, endpoints []string, change ...func(*clientv3.Config)) (*clientv3.Client, *calls) {
	tb.Helper()
	n := &calls{unary: map[string]int{}, streams: map[string]int{}}
	cfg := clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(), DialTimeout: 5 * time.Second,
		DialOptions: []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				n.mu.Lock()
				n.unary[method]++
				n.mu.Unlock()
				return invoke(ctx, method, req, reply, cc, opts...)
			}),
			grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				n.mu.Lock()
				n.streams[method]++
				n.mu.Unlock()
				return streamer(ctx, desc, cc, method, opts...)
			}),
			grpc.WithConnectParams(quick),
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

// managed is a client of package fxetcd, which adds to the context of each watch.
func managed(tb testing.TB, endpoints []string) *clientv3.Client {
	tb.Helper()
	c, err := fxetcd.NewClient(tb.Context(), fxetcd.Config{
		Endpoints:      endpoints,
		ConnectBackoff: fxetcd.ConnectBackoff{Base: quick.Backoff.BaseDelay, Max: quick.Backoff.MaxDelay, MinConnectTimeout: quick.MinConnectTimeout},
	}, fxetcd.WithLogger(zap.NewNop()))
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, c.Close()) })
	return c
}

// quick is for clients of servers that come and go within a test.
var quick = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 100 * time.Millisecond},
	MinConnectTimeout: time.Second,
}
