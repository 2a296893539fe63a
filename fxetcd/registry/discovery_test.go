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
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

func put(tb testing.TB, c *clientv3.Client, key, value string) {
	tb.Helper()
	_, err := c.Put(tb.Context(), key, value)
	require.NoError(tb, err)
}

func TestE9_discovery_sees_exactly_one_service(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	register(t, r, registry.Instance{Service: "order", Address: "10.0.0.1:1"})
	register(t, r, registry.Instance{Service: "order-admin", Address: "10.0.0.2:1"})
	register(t, r, registry.Instance{Service: "orde", Address: "10.0.0.3:1"})
	put(t, c, "services/order", `{"Addr":"10.0.0.4:1"}`)
	put(t, c, "services/order/deeper/id", `{"Addr":"10.0.0.5:1"}`)
	assert.Equal(t, []string{"10.0.0.1:1"}, at(t, r, "order"))
	assert.Equal(t, []string{"10.0.0.2:1"}, at(t, r, "order-admin"))
	assert.Equal(t, []string{}, at(t, r, "nobody"))
	_, err := r.Instances(t.Context(), "order/")
	assert.EqualError(t, err, `registry: instances of "order/": service "order/" has a slash, which separates services and instances in etcd`)
}

func TestE9_discovery_honours_the_namespaces_of_registry_and_client(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	plain, _ := newClient(t, server.Endpoints())
	c, _ := newClient(t, server.Endpoints())
	c.KV, c.Watcher, c.Lease = namespace.NewKV(c.KV, "app/"), namespace.NewWatcher(c.Watcher, "app/"), namespace.NewLease(c.Lease, "app/")
	in, out := newRegistry(t, c, registry.Config{Namespace: "prod/services"}), newRegistry(t, plain, registry.Config{Namespace: "services"})
	g := register(t, in, order("a"))
	assert.Len(t, at(t, in, "order"), 1)
	assert.Empty(t, at(t, out, "order"))
	got, err := plain.Get(t.Context(), "app/prod/services/order/a")
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1)
	_, err = plain.Delete(t.Context(), "app/prod/services/order/a")
	require.NoError(t, err)
	within(t, back, func() bool {
		got, err := plain.Get(t.Context(), "app/prod/services/order/a")
		return err == nil && len(got.Kvs) == 1
	}, "it is put back there")
	eventually(t, func() bool { return g.State() == registry.Online }, "and Online")
}

func TestE9_however_many_ask_there_is_one_watch_per_service(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	admin := newRegistry(t, server.Client(t), registry.Config{})
	register(t, admin, order("a"))
	ctx, cancel := context.WithCancel(t.Context())
	var watchers sync.WaitGroup
	var first sync.WaitGroup
	for range 50 {
		first.Add(1)
		watchers.Go(func() {
			n := 0
			for all, err := range r.Watch(ctx, "order") {
				if n++; n == 1 {
					assert.NoError(t, err)
					assert.Len(t, all, 1)
					first.Done()
				}
			}
		})
		assert.Len(t, at(t, r, "order"), 1)
	}
	first.Wait()
	register(t, admin, order("b"))
	eventually(t, func() bool { return len(at(t, r, "order")) == 2 }, "the change is known")
	for _, id := range []string{"c", "d"} {
		register(t, r, order(id))
		guarded(t, c, "services/order/"+id)
	}
	assert.Equal(t, 1, n.count(watchCreated), "which those who are registered share")
	cancel()
	watchers.Wait()
}

func TestE9_a_watch_gives_the_list_and_then_each_change(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	var g *registry.Registration
	var lists []string
	for all, err := range r.Watch(t.Context(), "order") {
		require.NoError(t, err)
		ids := ""
		for _, in := range all {
			ids += in.ID
		}
		lists = append(lists, ids)
		switch len(lists) {
		case 1:
			g = register(t, r, order("b"))
		case 2:
			register(t, r, order("a"))
		case 3:
			require.NoError(t, g.Offline(t.Context()))
		}
		if len(lists) == 4 {
			break
		}
	}
	assert.Equal(t, []string{"", "b", "ab", "a"}, lists)

	require.NoError(t, r.Stop(t.Context()))
	for _, err := range r.Watch(t.Context(), "order") {
		require.ErrorIs(t, err, registry.ErrStopped)
		assert.EqualError(t, err, `registry: watch "order": the registry is stopped`)
	}
}

func TestE9_a_watch_gives_no_list_twice(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	core, logged := observer.New(zap.WarnLevel)
	r := newRegistry(t, c, registry.Config{}, registry.WithLogger(zap.New(core)))
	const a = `{"Op":0,"Addr":"10.0.0.1:80","Metadata":{"zone":"a"}}`
	put(t, c, "services/order/a", a)
	lists := make(chan []registry.Instance)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		for all, err := range r.Watch(ctx, "order") {
			assert.NoError(t, err)
			lists <- all
		}
	})
	first := <-lists
	assert.Len(t, first, 1)
	for i := range 20 {
		put(t, c, "services/order/a", a)
		bad := fmt.Sprint("services/order/bad", i)
		put(t, c, bad, "x")
		eventually(t, func() bool { return logged.FilterField(zap.String("key", bad)).Len() == 1 }, "the registry has seen both")
		select {
		case again := <-lists:
			require.Fail(t, "a list that has not changed", "%v", again)
		default:
		}
	}
	put(t, c, "services/order/a", strings.ReplaceAll(a, "zone", "room"))
	assert.Equal(t, map[string]string{"room": "a"}, (<-lists)[0].Metadata)
}

func TestE9_a_watch_ends_when_the_registry_stops(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	var last error
	for _, err := range r.Watch(t.Context(), "order") {
		if last = err; err == nil {
			go func() { assert.NoError(t, r.Stop(context.WithoutCancel(t.Context()))) }()
		}
	}
	require.ErrorIs(t, last, registry.ErrStopped)
}

// E9: the last known instances are kept while etcd is away, and said to be stale; and a lookup that never had any waits no longer than its ctx.
func TestE9_while_etcd_is_away_the_last_known_instances_are_used(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, _ := newClient(t, server.Endpoints())
	core, logged := observer.New(zap.InfoLevel)
	r := newRegistry(t, c, registry.Config{}, registry.WithLogger(zap.New(core)))
	writer, _ := newClient(t, server.Endpoints()) // which is back as soon as the server is
	other := newRegistry(t, writer, registry.Config{TTL: 3 * time.Second})
	register(t, other, order("a"))
	assert.Len(t, at(t, r, "order"), 1)
	assert.Zero(t, r.Stale("order"))
	assert.Zero(t, r.Stale("unknown"))
	server.Kill()
	eventually(t, func() bool { return r.Stale("order") > 0 }, "it is stale")
	assert.Len(t, at(t, r, "order"), 1, "and used")
	eventually(t, func() bool { return logged.FilterMessageSnippet("etcd is silent").Len() == 1 }, "it says so, once")
	in, err := r.Pick(t.Context(), "order", nil)
	require.NoError(t, err)
	assert.Equal(t, "a", in.ID)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = r.Instances(ctx, "another")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.EqualError(t, err, `registry: instances of "another": there is no list yet, for etcd has not answered: context deadline exceeded`)

	server.Restart()
	eventually(t, func() bool { return r.Stale("order") == 0 }, "it is current again")
	eventually(t, func() bool { return logged.FilterMessageSnippet("etcd answers again").Len() == 1 }, "and says so")
	assert.Empty(t, at(t, r, "another"))
}

func TestE9_what_is_no_instance_is_skipped_with_one_line_in_the_log(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	core, logged := observer.New(zap.WarnLevel)
	r := newRegistry(t, c, registry.Config{}, registry.WithLogger(zap.New(core)))
	put(t, c, "services/order/", `{"Op":0,"Addr":"h:1"}`)
	put(t, c, "services/order/bad", "{")
	put(t, c, "services/order/empty", "{}")
	put(t, c, "services/order/good", `{"Op":0,"Addr":"h:1","Metadata":{"zone":"a","weight":3,"deep":{"x":[1]}}}`)
	put(t, c, "services/order/text", `{"Op":0,"Addr":"h:2","Metadata":"any JSON"}`)
	for range 3 {
		all, err := r.Instances(t.Context(), "order")
		require.NoError(t, err)
		assert.Equal(t, []registry.Instance{
			{Service: "order", ID: "good", Address: "h:1", Metadata: map[string]string{"zone": "a", "weight": "3", "deep": `{"x":[1]}`}},
			{Service: "order", ID: "text", Address: "h:2"},
		}, all)
	}
	require.Equal(t, 3, logged.Len())
	for i, want := range []string{"services/order/", "services/order/bad", "services/order/empty"} {
		assert.Equal(t, want, logged.All()[i].ContextMap()["key"])
	}
	put(t, c, "services/order/bad", `{"Addr":"h:3"}`)
	eventually(t, func() bool { return len(at(t, r, "order")) == 3 }, "a better value counts")
}

// E9: the key and value format is etcd's own naming/endpoints one, both ways.
func TestE9_the_format_is_that_of_naming_endpoints(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	m, err := endpoints.NewManager(c, "services/order")
	require.NoError(t, err)
	require.NoError(t, m.AddEndpoint(t.Context(), "services/order/theirs", endpoints.Endpoint{Addr: "h:1", Metadata: map[string]string{"zone": "a"}}))
	register(t, r, registry.Instance{Service: "order", ID: "ours", Address: "h:2", Metadata: map[string]string{"zone": "b"}})
	eventually(t, func() bool { return len(at(t, r, "order")) == 2 }, "both")
	all, err := r.Instances(t.Context(), "order")
	require.NoError(t, err)
	assert.Equal(t, []registry.Instance{
		{Service: "order", ID: "ours", Address: "h:2", Metadata: map[string]string{"zone": "b"}},
		{Service: "order", ID: "theirs", Address: "h:1", Metadata: map[string]string{"zone": "a"}},
	}, all)
	listed, err := m.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, endpoints.Key2EndpointMap{
		"services/order/ours":   {Addr: "h:2", Metadata: map[string]any{"zone": "b"}},
		"services/order/theirs": {Addr: "h:1", Metadata: map[string]any{"zone": "a"}},
	}, listed)
}

func TestE9_Pick_balances(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	ctx := t.Context()
	_, err := r.Pick(ctx, "order", registry.RoundRobin)
	require.ErrorIs(t, err, registry.ErrNoInstance)
	assert.EqualError(t, err, `registry: pick "order": no instance is listed`)
	for _, id := range []string{"a", "b", "c"} {
		register(t, r, order(id))
	}
	eventually(t, func() bool { return len(at(t, r, "order")) == 3 }, "all")
	pick := func(b registry.Balancer) string {
		in, err := r.Pick(ctx, "order", b)
		require.NoError(t, err)
		return in.ID
	}
	assert.Equal(t, "abcab", pick(registry.RoundRobin)+pick(nil)+pick(registry.RoundRobin)+pick(nil)+pick(nil))
	seen := map[string]int{}
	for range 300 {
		seen[pick(registry.Random)]++
	}
	for _, id := range []string{"a", "b", "c"} {
		assert.Greater(t, seen[id], 50)
	}
	assert.Equal(t, "c", pick(func(all []registry.Instance, _ uint64) int { return len(all) - 1 }))
	_, err = r.Pick(ctx, "order", func([]registry.Instance, uint64) int { return 3 })
	assert.EqualError(t, err, `registry: pick "order": the balancer chose 3 of 3`)
	_, err = r.Pick(ctx, "order", func([]registry.Instance, uint64) int { panic("boom") })
	assert.ErrorContains(t, err, `registry: pick "order": panic: boom`)
}

func TestG6_a_registry_may_be_used_from_many_goroutines(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			in := order(fmt.Sprint(i % 4))
			for j := range 10 {
				in.Metadata = map[string]string{"j": fmt.Sprint(j)}
				g, err := r.Register(t.Context(), in)
				if !assert.NoError(t, err) {
					return
				}
				_ = g.State()
				_ = g.Err()
				if i%2 == 0 {
					assert.NoError(t, g.Offline(t.Context()))
				}
				_, _ = r.Pick(t.Context(), "order", nil)
			}
		})
	}
	all.Wait()
	for i := range 4 {
		register(t, r, order(fmt.Sprint(i)))
	}
	assert.Len(t, raw(t, c), 4)
	eventually(t, func() bool { return len(at(t, r, "order")) == 4 }, "all are found")
}
