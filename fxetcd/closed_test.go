package fxetcd_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E4: every call, in virtual time and with no server at all. etcd's client would repeat it for two and a half seconds.
func TestE4_a_call_ends_with_its_client(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]fxetcd.Config{
		"plain":                 {},
		"with a username":       {Username: "app", Password: password},
		"with a namespace":      {Namespace: "app"},
		"requireLeader: false":  {RequireLeader: new(false)},
		"requestTimeout: -1":    {RequestTimeout: -1},
		"a wait of its retries": {BackoffWaitBetween: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg.Endpoints, cfg.Startup = []string{"unix:///nowhere/etcd.sock"}, fxetcd.Skip
				core, logs := observer.New(zapcore.DebugLevel)
				c, err := fxetcd.NewClient(t.Context(), cfg, fxetcd.WithLogger(zap.New(core)))
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context()) // a caller that has all the time, and no deadline
				defer time.AfterFunc(time.Hour, cancel).Stop()
				calls := everyCall(ctx, c)
				calls["Defragment"] = func() error { _, err := c.Defragment(ctx, c.Endpoints()[0]); return err }
				calls["SnapshotWithVersion"] = func() error { _, err := c.SnapshotWithVersion(ctx); return err }

				ended := func(name string, err error, began time.Time) {
					assert.Zero(t, time.Since(began), name)
					assert.Equal(t, codes.Canceled, status.Code(err), "%s: %v", name, err)
					if name != "SnapshotWithVersion" {
						assert.ErrorContains(t, err, "the client is closed: ", name)
					}
				}
				var inFlight sync.WaitGroup
				var closing time.Time
				for name, call := range calls {
					inFlight.Go(func() {
						err := call()
						ended(name, err, closing)
					})
				}
				time.Sleep(time.Second) // in virtual time: they wait for a connection
				closing = time.Now()
				require.NoError(t, c.Close())
				inFlight.Wait()

				said := logs.FilterMessage("retrying of unary invoker failed").Len()
				for name, call := range calls {
					began := time.Now()
					err := call()
					ended(name, err, began)
				}
				assert.Equal(t, said, logs.FilterMessage("retrying of unary invoker failed").Len(), "their callers have the error")
			})
		})
	}
}

// E4: clients that log in as the same user at the same time share a login, not each other's end.
func TestE4_a_login_that_waits_for_another_clients_ends_with_its_own(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f *fxetcd.Factory
		app := fxtest.New(t, fx.NopLogger, fxetcd.Module, fx.Supply(zap.NewNop()), fx.Populate(&f),
			yaml("etcd: {default: {endpoints: unix:///nowhere/etcd.sock, startup: skip}, clients: {one: {}, two: {}}}"))
		app.RequireStart()
		login := func(name string) (*clientv3.Client, <-chan error) {
			c, err := f.Get(name)
			require.NoError(t, err)
			ended := make(chan error, 1)
			go func() {
				_, err := c.Authenticate(context.Background(), "app", password)
				ended <- err
			}()
			synctest.Wait()
			return c, ended
		}
		one, first := login("one")
		two, second := login("two")
		began := time.Now()
		require.NoError(t, two.Close())
		require.ErrorContains(t, <-second, "the client is closed")
		third, again := login("one")
		require.NoError(t, third.Close())
		require.ErrorContains(t, <-first, "the client is closed")
		require.Equal(t, codes.Canceled, status.Code(<-again))
		assert.Zero(t, time.Since(began))
		require.Same(t, one, third)
		app.RequireStop()
	})
}

// E4: a write that was under way has an unknown outcome, and its error says so as before.
func TestE4_stop_ends_the_calls_that_are_under_way(t *testing.T) {
	t.Parallel()
	proxy := etcdtest.StartProxy(t, etcdtest.Start(t).Endpoints()[0])
	var c *clientv3.Client
	app := fxtest.New(t, fx.NopLogger, fxetcd.Module, fx.Supply(zap.NewNop()), fx.Populate(&c),
		yaml(fmt.Sprintf("etcd: {client: {endpoints: %q, requestTimeout: 1m}}", proxy.Endpoint())))
	app.RequireStart()
	proxy.Drop()
	calls := everyCall(context.Background(), c)
	ended := make(chan string, len(calls))
	for name, call := range calls {
		go func() {
			if err := call(); err == nil {
				name += " had an answer"
			}
			ended <- name
		}()
	}
	app.RequireStop()
	for range calls {
		select {
		case name := <-ended:
			assert.Contains(t, calls, name)
		case <-within(t, 2*time.Second).Done():
			require.Fail(t, "some calls go on")
		}
	}
}

// E5
func TestE5_a_check_of_a_client_that_somebody_has_closed_says_so(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	var f *fxetcd.Factory
	var c *clientv3.Client
	start(t, fxetcd.Module, fx.Populate(&f, &c), yaml(fmt.Sprintf("etcd: {client: {endpoints: %q}}", s.Endpoints()[0])))
	require.NoError(t, c.Close())
	health := f.Check(within(t, 2*time.Second))[0]
	require.ErrorContains(t, health.Err, `check etcd "default"`)
	assert.ErrorContains(t, health.Err, "the client is closed: ")
	assert.NotContains(t, health.Err.Error(), "no etcd server answered")
}

// E6, G6: the race detector looks on.
func TestE6_a_client_with_a_namespace_is_closed_while_watches_begin(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	for range 30 {
		c, err := fxetcd.NewClient(within(t, plenty), fxetcd.Config{Endpoints: s.Endpoints(), Namespace: "app"}, fxetcd.WithLogger(zap.NewNop()))
		require.NoError(t, err)
		var watching, begun sync.WaitGroup
		for range 4 {
			begun.Add(1)
			watching.Go(func() {
				once := sync.OnceFunc(begun.Done)
				for c.Ctx().Err() == nil {
					ctx, cancel := context.WithCancel(t.Context())
					c.Watch(ctx, "k")
					cancel()
					once()
				}
			})
		}
		begun.Wait()
		require.NoError(t, c.Close())
		watching.Wait()
		_, open := <-c.Watch(t.Context(), "k")
		require.False(t, open, "a watch of a closed client has ended")
	}
}

// E4, E6: Close waits for no Watch that waits for the server.
func TestE4_a_watch_that_has_not_begun_ends_with_its_client(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"", "app"} {
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = silent.Close() }()
		c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: []string{silent.Addr().String()}, Startup: fxetcd.Skip, Namespace: namespace},
			fxetcd.WithLogger(zap.NewNop()))
		require.NoError(t, err)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for r := range c.Watch(context.Background(), "k") {
				assert.True(t, r.Canceled)
			}
		}()
		connection, err := silent.Accept()
		require.NoError(t, err)
		defer func() { _ = connection.Close() }()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			assert.NoError(t, c.Close())
		}()
		for _, done := range []<-chan struct{}{closed, ended} {
			select {
			case <-done:
			case <-within(t, plenty).Done():
				require.Fail(t, "they wait for each other")
			}
		}
	}
}
