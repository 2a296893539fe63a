package fxetcd_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// inProcess is an application's own server, in a folder of the test's.
func inProcess(t *testing.T, clients string) fx.Option {
	t.Helper()
	return fx.Options(embedded.Module, fx.Supply(zap.NewNop()),
		yaml(fmt.Sprintf("etcd: {embedded: {dir: %q}, clients: %s}", filepath.Join(t.TempDir(), "etcd"), clients)))
}

func TestE2_without_configuration_there_is_one_client_at_the_usual_place(t *testing.T) {
	t.Parallel()
	var f *fxetcd.Factory
	var c *clientv3.Client
	app := fx.New(fx.NopLogger, fxetcd.Module, fx.Populate(&f, &c))
	require.NoError(t, app.Err())
	assert.Equal(t, []string{"default"}, f.Names())
	assert.Equal(t, []string{"127.0.0.1:2379"}, c.Endpoints())
	require.NoError(t, f.Stop(t.Context()))
}

// E2, and in whatever order the modules are listed.
func TestE2_without_configuration_the_client_is_at_the_embedded_server(t *testing.T) {
	t.Chdir(t.TempDir()) // the default folder is below the working directory
	for name, modules := range map[string]fx.Option{
		"client first": fx.Options(fxetcd.Module, embedded.Module),
		"server first": fx.Options(embedded.Module, fxetcd.Module),
		"coordinated":  fx.Options(fxlifecycle.Coordinate(), fxetcd.Module, embedded.Module),
	} {
		t.Run(name, func(t *testing.T) {
			var c *clientv3.Client
			var s *embedded.Server
			start(t, modules, fx.Populate(&c, &s))
			assert.Equal(t, s.Endpoints(), c.Endpoints())
			_, err := c.Put(within(t, plenty), "k", "v")
			require.NoError(t, err)
			assert.Equal(t, filepath.Join("data", "etcd"), filepath.FromSlash(s.Dir()))
		})
	}
}

func TestE2_a_call_before_the_start_waits_for_it(t *testing.T) {
	t.Parallel()
	var c *clientv3.Client
	app := fxtest.New(t, fx.NopLogger, fxetcd.Module, inProcess(t, "{default: {}}"), fx.Populate(&c))
	put := make(chan error)
	go func() {
		_, err := c.Put(within(t, plenty), "k", "v")
		put <- err
	}()
	app.RequireStart()
	defer app.RequireStop()
	require.NoError(t, <-put)
}

// sourceOf is an EndpointSource that says when it is asked.
type sourceOf struct {
	endpoints []string
	asked     func()
}

func (s sourceOf) Endpoints() []string {
	s.asked()
	return s.endpoints
}

// G6: the race detector looks on. The call comes while the client learns where its server is.
func TestE2_calls_during_the_start_do_no_harm(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	for range 20 {
		var c *clientv3.Client
		put, starting := make(chan error), make(chan struct{})
		source := sourceOf{server.Endpoints(), sync.OnceFunc(func() { close(starting) })}
		app := fxtest.New(t, fx.NopLogger, fxetcd.Module, fx.Supply(zap.NewNop()), yaml("etcd: {clients: {default: {}}}"),
			fx.Supply(fx.Annotate(source, fx.As(new(fxetcd.EndpointSource)))), fx.Populate(&c))
		go func() {
			<-starting
			_, err := c.Put(within(t, plenty), "k", "v")
			put <- err
		}()
		app.RequireStart()
		require.NoError(t, <-put)
		app.RequireStop()
	}
}

func TestE2_several_applications_in_one_process_do_not_see_each_other(t *testing.T) {
	t.Parallel()
	for n := range 3 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var c *clientv3.Client
			start(t, fxetcd.Module, inProcess(t, "{default: {}}"), fx.Populate(&c))
			got, err := c.Get(within(t, plenty), "k")
			require.NoError(t, err)
			require.Empty(t, got.Kvs)
			_, err = c.Put(within(t, plenty), "k", "v")
			require.NoError(t, err)
		})
	}
}

// E6
func TestE6_a_namespace_isolates_keys_watches_sessions_and_locks(t *testing.T) {
	t.Parallel()
	var p struct {
		fx.In
		Default *clientv3.Client
		Audit   *clientv3.Client `name:"audit"`
		Audit2  *clientv3.Client `name:"audit2"`
	}
	start(t, fxetcd.Module, fxetcd.Named("audit", "audit2"),
		inProcess(t, "{default: {}, audit: {namespace: audit}, audit2: {namespace: audit2/}}"),
		fx.Invoke(func(in struct {
			fx.In
			Default *clientv3.Client
			Audit   *clientv3.Client `name:"audit"`
			Audit2  *clientv3.Client `name:"audit2"`
		},
		) {
			p = in
		}))
	ctx := within(t, plenty)
	events := p.Audit.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-events
	for _, c := range []*clientv3.Client{p.Default, p.Audit2, p.Audit} {
		_, err := c.Put(ctx, "k", "v")
		require.NoError(t, err)
	}
	e := <-events
	require.Len(t, e.Events, 1)
	assert.Equal(t, "k", string(e.Events[0].Kv.Key))

	session, err := concurrency.NewSession(p.Audit, concurrency.WithTTL(10))
	require.NoError(t, err)
	require.NoError(t, concurrency.NewMutex(session, "lock").Lock(ctx))
	same, err := p.Audit.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	require.NoError(t, err)
	assert.Len(t, same.Kvs, 2, "k, and the lock's")

	all, err := p.Default.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	require.NoError(t, err)
	var keys []string
	for _, kv := range all.Kvs {
		keys = append(keys, string(kv.Key))
	}
	assert.Equal(t, []string{"audit/k", fmt.Sprintf("audit/lock/%x", session.Lease()), "audit2/k", "k"}, keys)

	ttl, err := p.Audit.TimeToLive(ctx, session.Lease(), clientv3.WithAttachedKeys())
	require.NoError(t, err)
	assert.Equal(t, []string{fmt.Sprintf("lock/%x", session.Lease())}, []string{string(ttl.Keys[0])})
	require.NoError(t, session.Close())
}

// E4: an application that stops with everything open.
func TestE4_stop_ends_leases_sessions_and_watches_then_clients_then_the_server_at_once(t *testing.T) {
	t.Parallel()
	outside := etcdtest.Start(t)
	seen := outside.Client(t)
	for name, coordinate := range map[string]fx.Option{"plain": fx.Options(), "coordinated": fxlifecycle.Coordinate()} {
		t.Run(name, func(t *testing.T) {
			var own *clientv3.Client
			var away *clientv3.Client
			app := fxtest.New(t, fx.NopLogger, coordinate, fxetcd.Module, fxetcd.Named("away"),
				inProcess(t, fmt.Sprintf("{default: {}, away: {endpoints: %q}}", outside.Endpoints()[0])),
				fx.Populate(&own, fx.Annotate(&away, fx.ParamTags(`name:"away"`))))
			app.RequireStart()
			for _, c := range []*clientv3.Client{own, away} {
				require.True(t, (<-c.Watch(context.Background(), "k", clientv3.WithCreatedNotify())).Created)
				session, err := concurrency.NewSession(c, concurrency.WithTTL(60))
				require.NoError(t, err)
				require.NoError(t, concurrency.NewMutex(session, "lock").Lock(within(t, plenty)))
			}
			orphan, err := away.Grant(within(t, plenty), 60)
			require.NoError(t, err)

			began := time.Now()
			app.RequireStop()
			assert.Less(t, time.Since(began), 2*time.Second)

			left, err := seen.Get(within(t, plenty), "lock", clientv3.WithPrefix())
			require.NoError(t, err)
			assert.Empty(t, left.Kvs, "the next holder need not wait for the TTL")
			leases, err := seen.Leases(within(t, plenty))
			require.NoError(t, err)
			require.Len(t, leases.Leases, 1)
			assert.Equal(t, orphan.ID, leases.Leases[0].ID, "a lease that nobody kept alive was meant to last")
			_, err = seen.Revoke(within(t, plenty), orphan.ID)
			require.NoError(t, err)
			_, err = own.Get(within(t, plenty), "k")
			require.Error(t, err)
		})
	}
}

func TestE4_stop_is_bounded_when_the_server_is_away(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	var c *clientv3.Client
	app := fxtest.New(t, fx.NopLogger, fx.Supply(zap.NewNop()), fxetcd.Module, fx.Populate(&c), yaml(fmt.Sprintf("etcd: {client: {endpoints: %q}}", s.Endpoints()[0])))
	app.RequireStart()
	_, err := concurrency.NewSession(c, concurrency.WithTTL(60))
	require.NoError(t, err)
	s.Stop()
	began := time.Now()
	app.RequireStop()
	assert.Less(t, time.Since(began), 5*time.Second, "a lease that cannot be revoked is left to expire")
}

func TestE4_a_client_that_somebody_has_closed_is_no_error(t *testing.T) {
	t.Parallel()
	var c *clientv3.Client
	app := fxtest.New(t, fx.NopLogger, fxetcd.Module, inProcess(t, "{default: {}}"), fx.Populate(&c))
	app.RequireStart()
	require.NoError(t, c.Close())
	app.RequireStop()
}

func TestE4_a_server_that_cannot_start_leaves_nothing_behind(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fxetcd.Module, embedded.Module, fx.Supply(zap.NewNop()),
		yaml(fmt.Sprintf("etcd: {embedded: {dir: %q, listen: %q}}", t.TempDir(), s.Endpoints()[0])))
	require.NoError(t, app.Err())
	err := app.Start(within(t, plenty))
	require.Error(t, err)
	assert.ErrorContains(t, err, "cannot listen on "+s.Endpoints()[0])
	assert.ErrorContains(t, err, "address already in use")
}

// E1: what cannot work is refused.
func TestE1_auto_sync_against_the_embedded_server_is_refused(t *testing.T) {
	t.Parallel()
	app := fx.New(fx.NopLogger, fxetcd.Module, inProcess(t, "{default: {\n  dialTimeout: 1s, autoSyncInterval: 1m}}"))
	assert.ErrorContains(t, app.Err(), ": config.yaml:2:20: etcd.clients.default.autoSyncInterval: the endpoints are those of an EndpointSource, "+
		"such as the embedded server, and not a cluster's to tell: remove it")
}

func TestE1_auto_sync_follows_the_cluster(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	var c *clientv3.Client
	start(t, fxetcd.Module, fx.Populate(&c), yaml(fmt.Sprintf("etcd: {client: {endpoints: %q, autoSyncInterval: 1s}}", cluster.Endpoints()[0])))
	require.Eventually(t, func() bool { return len(c.Endpoints()) == 3 }, plenty, 5*time.Millisecond)
}
