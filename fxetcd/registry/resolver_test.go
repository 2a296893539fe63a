package registry_test

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

// backend is a gRPC server, and its address.
func backend(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, s.Serve(l))
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return l.Addr().String()
}

func dial(t *testing.T, r *registry.Registry, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	start := time.Now()
	cc, err := grpc.NewClient("etcd:///order", append(opts, grpc.WithResolvers(r.ResolverBuilder()), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	cc.Connect()
	assert.Less(t, time.Since(start), time.Second, "Build does not block")
	t.Cleanup(func() { assert.NoError(t, cc.Close()) })
	return cc
}

// call is who answered.
func call(ctx context.Context, cc *grpc.ClientConn, opts ...grpc.CallOption) (string, error) {
	var p peer.Peer
	_, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{}, append(opts, grpc.Peer(&p))...)
	if err != nil {
		return "", err
	}
	return p.Addr.String(), nil
}

func answers(t *testing.T, cc *grpc.ClientConn, n int) map[string]int {
	t.Helper()
	by := map[string]int{}
	for range n {
		who, err := call(t.Context(), cc, grpc.WaitForReady(true))
		require.NoError(t, err)
		by[who]++
	}
	return by
}

func TestE9_a_grpc_connection_balances_over_the_instances_and_follows_them(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, _ := newClient(t, []string{proxy.Endpoint()})
	r := newRegistry(t, c, registry.Config{})
	writer := newRegistry(t, server.Client(t), registry.Config{})
	a, b := backend(t), backend(t)
	first := register(t, writer, registry.Instance{Service: "order", Address: a})
	register(t, writer, registry.Instance{Service: "order-admin", Address: b})
	cc := dial(t, r)
	assert.Equal(t, map[string]int{a: 10}, answers(t, cc, 10))
	register(t, writer, registry.Instance{Service: "order", Address: b})
	eventually(t, func() bool { by := answers(t, cc, 10); return by[a] == 5 && by[b] == 5 }, "round robin")

	// Away from etcd, past a compaction, and back.
	proxy.Drop()
	proxy.Reset()
	require.NoError(t, first.Deregister(t.Context()))
	assert.Len(t, answers(t, cc, 10), 2, "the last known instances are used")
	last, err := server.Client(t).Put(t.Context(), "other", "x")
	require.NoError(t, err)
	_, err = server.Client(t).Compact(t.Context(), last.Header.Revision)
	require.NoError(t, err)
	proxy.Heal()
	eventually(t, func() bool { return answers(t, cc, 10)[b] == 10 }, "the list is current again")

	require.NoError(t, writer.Leave(t.Context()))
	eventually(t, func() bool { _, err := call(t.Context(), cc); return status.Code(err) == codes.Unavailable }, "without an instance calls fail")
	late := dial(t, r)
	_, err = call(t.Context(), late)
	assert.Equal(t, codes.Unavailable, status.Code(err), "also those of a new connection: %v", err)
}

func TestE9_a_grpc_connection_may_have_a_service_config_of_its_own(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	register(t, r, registry.Instance{Service: "order", ID: "a", Address: backend(t)})
	register(t, r, registry.Instance{Service: "order", ID: "b", Address: backend(t)})
	eventually(t, func() bool { return len(at(t, r, "order")) == 2 }, "both")
	cc := dial(t, r, grpc.WithDisableServiceConfig(), grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"pick_first":{}}]}`))
	for range 3 {
		assert.Len(t, answers(t, cc, 10), 1, "the first one only")
	}
}

func TestE9_a_grpc_connection_does_not_hang_when_etcd_is_down(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	server.Kill()
	cc := dial(t, r)
	start := time.Now()
	_, err := call(t.Context(), cc)
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.ErrorContains(t, err, `registry: resolve "order": there is no list of instances yet, for etcd does not answer`)
	assert.Less(t, time.Since(start), 3*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = call(ctx, cc, grpc.WaitForReady(true))
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))

	server.Restart()
	a := backend(t)
	register(t, newRegistry(t, server.Client(t), registry.Config{}), registry.Instance{Service: "order", Address: a})
	assert.Equal(t, map[string]int{a: 4}, answers(t, cc, 4))
}

func TestE9_a_target_without_a_service_is_refused(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	b := r.ResolverBuilder()
	assert.Equal(t, registry.Scheme, b.Scheme())
	_, err := b.Build(resolver.Target{URL: url.URL{Scheme: "etcd", Path: "/a/b"}}, nil, resolver.BuildOptions{})
	assert.EqualError(t, err, `registry: resolve "etcd:///a/b": service "a/b" has a slash, which separates services and instances in etcd; want etcd:///<service>`)
	_, err = b.Build(resolver.Target{URL: url.URL{Scheme: "etcd", Host: "h:2379", Path: "/a"}}, nil, resolver.BuildOptions{})
	assert.EqualError(t, err, `registry: resolve "etcd://h:2379/a": there is a host, "h:2379", but the registry's client knows where etcd is; want etcd:///<service>`)
	require.NoError(t, r.Stop(t.Context()))
	_, err = b.Build(resolver.Target{URL: url.URL{Scheme: "etcd", Path: "/a"}}, nil, resolver.BuildOptions{})
	assert.EqualError(t, err, `registry: resolve "etcd:///a": the registry is stopped`)
}
