package registry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

// back is how soon a registration is to be back after etcd is (E8).
const back = 2 * time.Second

func leaseOf(tb testing.TB, c *clientv3.Client, key string) clientv3.LeaseID {
	tb.Helper()
	got, err := c.Get(tb.Context(), key)
	require.NoError(tb, err)
	require.Len(tb, got.Kvs, 1)
	return clientv3.LeaseID(got.Kvs[0].Lease)
}

// E8: registration survives what happens to it. Each case does something to etcd, after which the instances must be back within two seconds.
func TestE8_registrations_are_back_within_two_seconds(t *testing.T) {
	t.Parallel()
	type fixture struct {
		server *etcdtest.Process
		admin  *clientv3.Client
	}
	cases := map[string]func(t *testing.T, f fixture){
		"the lease is revoked": func(t *testing.T, f fixture) {
			_, err := f.admin.Revoke(t.Context(), leaseOf(t, f.admin, "services/order/0"))
			require.NoError(t, err)
		},
		"a key is deleted by hand": func(t *testing.T, f fixture) {
			_, err := f.admin.Delete(t.Context(), "services/order/0")
			require.NoError(t, err)
		},
		"all keys are deleted by hand": func(t *testing.T, f fixture) {
			_, err := f.admin.Delete(t.Context(), "", clientv3.WithPrefix())
			require.NoError(t, err)
		},
		"a key is overwritten by hand": func(t *testing.T, f fixture) {
			_, err := f.admin.Put(t.Context(), "services/order/0", "nonsense")
			require.NoError(t, err)
		},
		"the server is killed and restarted": func(_ *testing.T, f fixture) { f.server.Restart() },
		"all data are wiped": func(_ *testing.T, f fixture) {
			f.server.Wipe()
			f.server.Restart()
		},
		"compaction and a restart": func(t *testing.T, f fixture) {
			r, err := f.admin.Put(t.Context(), "other", "x")
			require.NoError(t, err)
			_, err = f.admin.Compact(t.Context(), r.Header.Revision)
			require.NoError(t, err)
			f.server.Restart()
			_, err = f.admin.Delete(t.Context(), "services/order/0")
			require.NoError(t, err)
		},
	}
	for name, disturb := range cases {
		for _, instances := range []int{2, 12} { // watched each alone, and as a namespace
			t.Run(fmt.Sprintf("%s, %d instances", name, instances), func(t *testing.T) {
				t.Parallel()
				server := etcdtest.StartProcess(t)
				c, _ := newClient(t, server.Endpoints())
				admin := server.Client(t)
				r := newRegistry(t, c, registry.Config{})
				var all []*registry.Registration
				for i := range instances {
					all = append(all, register(t, r, order(fmt.Sprint(i))))
				}
				want := raw(t, admin)
				require.Len(t, want, instances)
				require.Len(t, at(t, r, "order"), instances)

				disturb(t, fixture{server, admin})
				within(t, back, func() bool { return assert.ObjectsAreEqual(want, raw(t, admin)) }, "all keys are back")
				eventually(t, func() bool {
					for _, g := range all {
						if g.State() != registry.Online {
							return false
						}
					}
					return true
				}, "all are Online")
				assert.NotZero(t, leaseOf(t, admin, "services/order/0"))
				eventually(t, func() bool { return len(at(t, r, "order")) == instances }, "and all are found")
			})
		}
	}
}

// E8: a partition longer than the TTL; State tells the truth meanwhile.
func TestE8_a_partition_longer_than_the_TTL(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, _ := newClient(t, []string{proxy.Endpoint()})
	admin := server.Client(t)
	core, logged := observer.New(zap.InfoLevel)
	r := newRegistry(t, c, registry.Config{TTL: 2 * time.Second}, registry.WithLogger(zap.New(core)))
	g := register(t, r, order("a"))
	proxy.Drop()
	for g.State() == registry.Online {
		// For as long as the registration says Online, the key is there: it may say Pending too early, but not too late by more than an answer takes.
		if len(raw(t, admin)) == 0 {
			require.Equal(t, registry.Pending, g.State())
		}
	}
	eventually(t, func() bool { return len(raw(t, admin)) == 0 }, "etcd lets the instance go after its TTL")
	assert.Equal(t, registry.Pending, g.State())
	eventually(t, func() bool { return g.Err() != nil }, "it says why")
	proxy.Heal()
	within(t, back, func() bool { return len(raw(t, admin)) == 1 }, "it is back")
	eventually(t, func() bool { return g.State() == registry.Online && g.Err() == nil }, "and says so")
	eventually(t, func() bool { return logged.FilterMessage("registrations are up to date again").Len() == 1 }, "and logs it")
	assert.Less(t, logged.Len(), 8, "an outage does not flood the log: %v", logged.All())
}

func TestE8_a_crash_leaves_the_instance_for_its_TTL_at_most(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := server.Client(t)
	c, err := clientv3.New(clientv3.Config{Endpoints: server.Endpoints(), Logger: zap.NewNop()})
	require.NoError(t, err)
	r, err := registry.New(c, registry.Config{TTL: 2 * time.Second}, registry.WithLogger(zap.NewNop()))
	require.NoError(t, err)
	register(t, r, order("a"))
	require.NoError(t, c.Close()) // as far as etcd can see, the process is dead
	within(t, 4*time.Second, func() bool { return len(raw(t, admin)) == 0 }, "the instance is gone")
	require.ErrorIs(t, r.Stop(t.Context()), registry.ErrStopped)
}

func TestE8_a_change_of_leader_is_not_noticed(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	c, _ := newClient(t, cluster.Endpoints())
	r := newRegistry(t, c, registry.Config{TTL: 3 * time.Second})
	g := register(t, r, order("a"))
	leader := cluster.Leader()
	key := leaseOf(t, c, "services/order/a")
	cluster.Stop(leader)
	admin := cluster.Client(t, (leader+1)%3, (leader+2)%3)
	eventually(t, func() bool { return len(raw(t, admin)) == 1 }, "a new leader")
	assert.Equal(t, key, leaseOf(t, admin, "services/order/a"), "the lease lives on")
	assert.Equal(t, registry.Online, g.State())
	// Longer than the TTL after it.
	deadline := time.Now().Add(4 * time.Second)
	eventually(t, func() bool {
		return assert.Len(t, raw(t, admin), 1) && time.Now().After(deadline)
	}, "four seconds")
	assert.Equal(t, registry.Online, g.State())
}

func TestE8_leaving_deregisters_all_at_once_and_waits_for_callers_to_learn_of_it(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{DrainDelay: 300 * time.Millisecond})
	g := register(t, r, order("a"))
	register(t, r, order("b"))
	require.Len(t, at(t, r, "order"), 2)
	start := time.Now()
	require.NoError(t, r.Leave(t.Context()))
	assert.GreaterOrEqual(t, time.Since(start), 300*time.Millisecond)
	assert.Empty(t, raw(t, c))
	assert.Equal(t, registry.Deregistered, g.State())
	eventually(t, func() bool { return len(at(t, r, "order")) == 0 }, "looking up goes on")
	_, err := r.Register(t.Context(), order("c"))
	require.ErrorIs(t, err, registry.ErrStopped)
	assert.EqualError(t, err, `registry: register "order/c": the registry is stopped`)
	require.ErrorIs(t, g.Online(t.Context()), registry.ErrStopped)

	start = time.Now()
	require.NoError(t, r.Leave(t.Context()), "again")
	require.NoError(t, r.Stop(t.Context()))
	require.NoError(t, r.Stop(t.Context()), "again")
	assert.Less(t, time.Since(start), 200*time.Millisecond, "the delay is once")
	_, err = r.Instances(t.Context(), "order")
	require.ErrorIs(t, err, registry.ErrStopped)
	assert.LessOrEqual(t, n.count(revokeMethod), 2)
}

func TestE8_a_stop_leaves_no_lease_behind(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	for _, tt := range []struct {
		name      string
		instances []registry.Instance
	}{
		{"one instance", []registry.Instance{order("a")}},
		{"several", []registry.Instance{order("a"), order("b")}},
		{"several TTLs", []registry.Instance{order("a"), {Service: "order", ID: "b", Address: "127.0.0.1:2", TTL: 7 * time.Second}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := newClient(t, server.Endpoints())
			r := newRegistry(t, c, registry.Config{})
			var last *registry.Registration
			for _, in := range tt.instances {
				last = register(t, r, in)
			}
			require.NoError(t, last.Offline(t.Context()))
			require.NoError(t, last.Online(t.Context()))
			require.NoError(t, r.Stop(t.Context()))
			leases, err := c.Leases(t.Context())
			require.NoError(t, err)
			assert.Empty(t, leases.Leases)
		})
	}
}

func TestE8_a_stop_without_etcd_is_bounded(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, _ := newClient(t, server.Endpoints())
	r, err := registry.New(c, registry.Config{}, registry.WithLogger(zap.NewNop()))
	require.NoError(t, err)
	register(t, r, order("a"))
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = r.Stop(ctx)
	assert.ErrorContains(t, err, `registry: deregister "order/a": etcd does not answer: context deadline exceeded`)
	assert.Less(t, time.Since(start), 2*time.Second)
	server.Restart()
}
