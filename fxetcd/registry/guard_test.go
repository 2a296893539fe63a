package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

func TestE8_a_key_that_is_deleted_before_its_put_is_answered_is_put_back(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := server.Client(t)
	var hold atomic.Bool
	held, release := make(chan struct{}), make(chan struct{})
	c, _ := newClient(t, server.Endpoints(), around(func(_ context.Context, method string, call func() error) error {
		err := call()
		if (method == putMethod || method == txnMethod) && hold.CompareAndSwap(true, false) {
			close(held)
			<-release
		}
		return err
	}))
	r := newRegistry(t, c, registry.Config{})
	var all []*registry.Registration
	for i := range 10 {
		all = append(all, register(t, r, order(fmt.Sprint(i))))
	}
	last, key := all[9], "services/order/8" // one watch guards both: its events are in order
	guarded(t, admin, key)
	eventually(t, func() bool { return all[8].State() == registry.Online }, "Online")

	hold.Store(true)
	_, err := admin.Delete(t.Context(), key)
	require.NoError(t, err)
	<-held
	assert.Len(t, raw(t, admin), 10, "it is back, but the answer is on its way")
	for _, k := range []string{key, "services/order/9"} {
		_, err = admin.Delete(t.Context(), k)
		require.NoError(t, err)
	}
	eventually(t, func() bool { return last.State() == registry.Pending }, "the guard has seen both")
	close(release)
	within(t, back, func() bool { return len(raw(t, admin)) == 10 }, "all keys are back")
	eventually(t, func() bool { return all[8].State() == registry.Online }, "and Online")
}

// E8: whatever was put by hand, or restored from a backup, has no lease, and would stay for ever.
func TestE8_a_key_that_somebody_has_put_without_a_lease_does_not_stay(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := server.Client(t)
	byHand := func(t *testing.T) {
		for key, value := range raw(t, admin) {
			put(t, admin, key, value)
		}
	}
	t.Run("it gets one", func(t *testing.T) {
		c, _ := newClient(t, server.Endpoints())
		r := newRegistry(t, c, registry.Config{})
		register(t, r, order("0"))
		guarded(t, admin, "services/order/0")
		byHand(t)
		within(t, back, func() bool { return leaseOf(t, admin, "services/order/0") != clientv3.NoLease }, "a lease")
		require.NoError(t, r.Stop(t.Context()))
		assert.Empty(t, raw(t, admin))
	})
	for _, instances := range []int{1, 2} {
		t.Run(fmt.Sprintf("a stop that comes before the guard sees it takes it away, %d instances", instances), func(t *testing.T) {
			c, _ := newClient(t, server.Endpoints(), withoutWatches)
			r := newRegistry(t, c, registry.Config{})
			for i := range instances {
				register(t, r, order(fmt.Sprint(i)))
			}
			byHand(t)
			require.NoError(t, r.Stop(t.Context()))
			assert.Empty(t, raw(t, admin))
		})
	}
}

// withoutWatches is a client whose server is too slow to tell it of anything.
func withoutWatches(cfg *clientv3.Config) {
	cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(
		func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			if method == watchMethod {
				<-ctx.Done()
				return nil, errors.New("the watch was given up")
			}
			return streamer(ctx, desc, cc, method, opts...)
		}))
}

func TestE8_a_role_for_one_service_is_enough_however_many_instances_it_has(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	withUsers(t, server.Client(t), "services/order/", "services/billing/")
	root, _ := newClient(t, server.Endpoints(), as("root", "r"))
	c, _ := newClient(t, server.Endpoints(), as("app", "x"))
	core, logged := observer.New(zap.WarnLevel)
	r := newRegistry(t, c, registry.Config{}, registry.WithLogger(zap.New(core)))
	for i := range 10 {
		register(t, r, order(fmt.Sprint(i)))
		register(t, r, registry.Instance{Service: "billing", ID: fmt.Sprint(i), Address: "10.0.0.1:80"})
	}
	want := raw(t, root)
	guarded(t, root, "services/order/9")
	guarded(t, root, "services/billing/9")
	_, err := root.Delete(t.Context(), "services/", clientv3.WithPrefix())
	require.NoError(t, err)
	within(t, back, func() bool { return assert.ObjectsAreEqual(want, raw(t, root)) }, "all keys are back")
	assert.Empty(t, logged.All())
}

func TestE8_a_guard_that_the_server_refuses_is_said_in_the_log_once(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	withUsers(t, server.Client(t), "services/order/a")
	c, _ := newClient(t, server.Endpoints(), as("app", "x"))
	core, logged := observer.New(zap.WarnLevel)
	r := newRegistry(t, c, registry.Config{}, registry.WithLogger(zap.New(core)))
	g := register(t, r, order("a"))
	eventually(t, func() bool { return logged.Len() > 0 }, "a line")
	changed := order("a")
	for i := range 5 {
		changed.Metadata = map[string]string{"i": fmt.Sprint(i)}
		register(t, r, changed)
	}
	assert.Equal(t, registry.Online, g.State())
	require.Equal(t, 1, logged.Len(), "%v", logged.All())
	assert.Equal(t, "registered keys cannot be watched: one that is deleted by hand is not put back", logged.All()[0].Message)
	assert.Equal(t, "services/order/a", logged.All()[0].ContextMap()["prefix"])
}

func TestE8_the_watch_of_a_service_ends_with_its_last_instance(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := server.Client(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	for i := range 8 {
		register(t, r, order(fmt.Sprint(i)))
	}
	eventually(t, func() bool { return n.count(watchCreated) == 8 }, "a watch for each")
	for range 2 {
		before, ended := n.count(watchCreated), n.count(watchEnded)
		g := register(t, r, registry.Instance{Service: "billing", ID: "a", Address: "10.0.0.1:80"})
		h := register(t, r, registry.Instance{Service: "billing", ID: "b", Address: "10.0.0.1:80"})
		eventually(t, func() bool { return n.count(watchCreated) > before }, "a watch")
		require.NoError(t, g.Deregister(t.Context()))
		guarded(t, admin, "services/billing/b")
		require.NoError(t, h.Deregister(t.Context()))
		eventually(t, func() bool { return n.count(watchEnded) > ended }, "its end")
	}
}
