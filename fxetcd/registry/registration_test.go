package registry_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

func TestE8_an_instance_is_listed_when_Register_returns_and_gone_after_Deregister(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	g := register(t, r, registry.Instance{Service: "order", Address: "10.0.0.1:80", Metadata: map[string]string{"zone": "a"}})
	assert.Equal(t, map[string]string{"services/order/10.0.0.1:80": `{"Op":0,"Addr":"10.0.0.1:80","Metadata":{"zone":"a"}}`}, raw(t, c), "E9: the format of naming/endpoints")
	assert.Equal(t, registry.Online, g.State())
	require.NoError(t, g.Err())
	assert.Equal(t, registry.Instance{Service: "order", ID: "10.0.0.1:80", Address: "10.0.0.1:80", Metadata: map[string]string{"zone": "a"}, TTL: 30 * time.Second}, g.Instance())

	ctx := t.Context()
	for range 2 { // each is idempotent
		require.NoError(t, g.Offline(ctx))
		assert.Empty(t, raw(t, c))
		assert.Equal(t, registry.Offline, g.State())
	}
	for range 2 {
		require.NoError(t, g.Online(ctx))
		assert.Len(t, raw(t, c), 1)
		assert.Equal(t, registry.Online, g.State())
	}
	for range 2 {
		require.NoError(t, g.Deregister(ctx))
		assert.Empty(t, raw(t, c))
		assert.Equal(t, registry.Deregistered, g.State())
	}
	require.NoError(t, g.Offline(ctx), "there is nothing to take off")
	assert.EqualError(t, g.Online(ctx), `registry: take online "order/10.0.0.1:80": it is deregistered: Register it again`)
	eventually(t, func() bool { l, err := c.Leases(ctx); return err == nil && len(l.Leases) == 0 }, "the lease is revoked when nothing needs it")
}

func TestE8_Register_again_updates(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	g := register(t, r, order("a"))
	assert.Same(t, g, register(t, r, order("a")))
	changed := order("a")
	changed.Address = "10.0.0.2:80"
	assert.Same(t, g, register(t, r, changed))
	assert.Equal(t, map[string]string{"services/order/a": `{"Op":0,"Addr":"10.0.0.2:80","Metadata":null}`}, raw(t, c))
	assert.Equal(t, 1, n.count(grantMethod), "on one lease")
	require.NoError(t, g.Offline(t.Context()))
	assert.Same(t, g, register(t, r, changed), "and lists it again")
	assert.Equal(t, registry.Online, g.State())
	other := order("a")
	other.TTL = time.Minute
	_, err := r.Register(t.Context(), other)
	assert.EqualError(t, err, `registry: register "order/a": it has a TTL of 30s, which cannot change to 1m0s: deregister it first`)
	require.NoError(t, g.Deregister(t.Context()))
	again := register(t, r, other)
	assert.NotSame(t, g, again)
	assert.Equal(t, registry.Online, again.State())
	assert.Same(t, again, register(t, r, changed), "no TTL is the one that it has")
	assert.Equal(t, time.Minute, again.Instance().TTL)
}

func TestE8_all_keys_of_a_process_are_on_one_lease_that_a_stream_keeps(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{TTL: time.Second})
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() { register(t, r, order(fmt.Sprint(i))) })
	}
	all.Wait()
	got, err := c.Get(t.Context(), "services/order/", clientv3.WithPrefix())
	require.NoError(t, err)
	leases := map[int64]bool{}
	for _, kv := range got.Kvs {
		leases[kv.Lease] = true
	}
	assert.Len(t, got.Kvs, 30)
	assert.Len(t, leases, 1)
	var lease int64
	for lease = range leases {
	}
	// Three times the TTL later by the server's count, they are still there, and no request but the stream's has kept them.
	before := n.count(grantMethod)
	deadline := time.Now().Add(3 * time.Second)
	eventually(t, func() bool {
		left, err := c.TimeToLive(t.Context(), clientv3.LeaseID(lease), clientv3.WithAttachedKeys())
		return assert.NoError(t, err) && assert.Len(t, left.Keys, 30) && time.Now().After(deadline)
	}, "three seconds")
	assert.Equal(t, before, n.count(grantMethod))
	assert.Equal(t, 1, n.count(aliveMethod), "one stream")
	assert.LessOrEqual(t, n.count(watchMethod), 9, "the guards")
}

func TestE8_what_cannot_be_registered_is_refused_with_the_reason(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	for want, in := range map[string]registry.Instance{
		"registry: register \"/10.0.0.1:80\": the service is empty":                                                                                            {Address: "10.0.0.1:80"},
		"registry: register \"a/b/10.0.0.1:80\": service \"a/b\" has a slash, which separates services and instances in etcd":                                  {Service: "a/b", Address: "10.0.0.1:80"},
		"registry: register \"a/b/c\": id \"b/c\" has a slash, which separates services and instances in etcd":                                                 {Service: "a", ID: "b/c", Address: "10.0.0.1:80"},
		"registry: register \"a/x\": address \"10.0.0.1\": want host:port or unix:path":                                                                        {Service: "a", ID: "x", Address: "10.0.0.1"},
		"registry: register \"a/x\": address \":80\" cannot be connected to: want the host and the port that others can reach, as in 10.0.0.7:8080":            {Service: "a", ID: "x", Address: ":80"},
		"registry: register \"a/x\": address \"10.0.0.1:65536\" cannot be connected to: want the host and the port that others can reach, as in 10.0.0.7:8080": {Service: "a", ID: "x", Address: "10.0.0.1:65536"},
		"registry: register \"a/x\": metadata \"zone\": \"\\xff\" is not UTF-8":                                                                                {Service: "a", ID: "x", Address: "h:1", Metadata: map[string]string{"zone": "\xff"}},
		"registry: register \"a/x\": address \"10.0.0.1:0\" cannot be connected to: want the host and the port that others can reach, as in 10.0.0.7:8080":     {Service: "a", ID: "x", Address: "10.0.0.1:0"},
		"registry: register \"a/x\": ttl 1.5s: want whole seconds, at least 1s; below 5s a busy server alone makes instances disappear":                        {Service: "a", ID: "x", Address: "h:1", TTL: 1500 * time.Millisecond},
		"registry: register \"/x\": the service is empty\naddress \"\": want host:port or unix:path":                                                           {ID: "x"},
	} {
		_, err := r.Register(t.Context(), in)
		assert.EqualError(t, err, want)
	}
	unix := register(t, r, registry.Instance{Service: "a", Address: "unix:/run/a.sock"})
	assert.Equal(t, "unix:%2Frun%2Fa.sock", unix.Instance().ID)
}

func TestE8_a_registration_that_the_server_refuses_is_an_error_at_once(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	withUsers(t, server.Client(t))
	ctx := t.Context()
	c, _ := newClient(t, server.Endpoints(), as("app", "x"))
	r := newRegistry(t, c, registry.Config{})
	_, err := r.Register(ctx, order("a"))
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	assert.EqualError(t, err, `registry: register "order/a": etcdserver: permission denied`)
	_, err = r.Instances(ctx, "order")
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
}

func TestE8_only_a_newer_registration_takes_over_an_id(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"10.0.0.1:80", "10.0.0.9:80"} { // the same, as after a restart, and another
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			server := etcdtest.Start(t)
			c, _ := newClient(t, server.Endpoints())
			other, _ := newClient(t, server.Endpoints())
			old, new := newRegistry(t, c, registry.Config{}), newRegistry(t, other, registry.Config{})
			first := register(t, old, order("a"))
			in := order("a")
			in.Address = address
			second := register(t, new, in)
			eventually(t, func() bool { return first.State() == registry.Pending && first.Err() != nil }, "the first has lost its key")
			require.ErrorIs(t, first.Err(), registry.ErrTaken)
			assert.Equal(t, []string{address}, at(t, old, "order"), "and does not fight for it")
			assert.Equal(t, registry.Online, second.State())
			require.NoError(t, second.Deregister(t.Context()))
			eventually(t, func() bool { return first.State() == registry.Online }, "the first has it back when the second is gone")
			require.NoError(t, first.Deregister(t.Context()))
			assert.Empty(t, raw(t, c))
		})
	}
}

func TestE8_deregistering_leaves_another_processes_key_alone(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	other, _ := newClient(t, server.Endpoints())
	old, new := newRegistry(t, c, registry.Config{}), newRegistry(t, other, registry.Config{})
	first := register(t, old, order("a"))
	in := order("a")
	in.Address = "10.0.0.9:80"
	register(t, new, in)
	require.NoError(t, first.Deregister(t.Context()))
	assert.Len(t, raw(t, c), 1)
}

func TestE8_states_have_names(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "Pending Online Offline Deregistered State(7)",
		fmt.Sprint(registry.Pending, " ", registry.Online, " ", registry.Offline, " ", registry.Deregistered, " ", registry.State(7)))
}

func keysOf(m map[string]string) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}
