package fxscope_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/fxscope"
)

// pool is a singleton that scoped objects use: it must be there as long as they are.
type pool struct{ *account }

func newPool(l *ledger, t *testing.T) func(lc fx.Lifecycle) (*pool, error) {
	return func(lc fx.Lifecycle) (*pool, error) {
		return fxlifecycle.Manage(lc, &pool{l.account(t, "pool")})
	}
}

// The whole stop of a service: the server stops accepting and finishes what is in hand, its scopes end with their tasks, and
// then singletons go.
func TestS10_the_order_at_stop(t *testing.T) {
	t.Parallel()
	l := newLedger()
	inHandler, finish := make(chan struct{}), make(chan struct{})
	var srv *fxlifecycle.Server
	app := fx.New(fx.NopLogger,
		fxlifecycle.Coordinate(),
		fxscope.Module,
		fxbackground.Module,
		fx.Supply(zap.NewNop()),
		fx.Provide(newPool(l, t)),
		fxscope.Provide(func(*pool, *http.Request) *top { return &top{l.account(t, "scoped")} }),
		fx.Invoke(func(lc fx.Lifecycle, scopes *fxscope.Scopes) (err error) {
			httpServer := &http.Server{Addr: "127.0.0.1:0", Handler: scopes.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.NoError(t, get[*top](r.Context()))
				sc, _ := fxscope.From(r.Context())
				assert.NoError(t, sc.Tasks().Run(r.Context(), "audit", func(ctx context.Context) error {
					<-finish
					l.write("task")
					return get[*top](ctx)
				}))
				close(inHandler)
				<-finish
				l.write("handler")
				_, _ = io.WriteString(w, "done")
			}))}
			httpServer.RegisterOnShutdown(func() { close(finish) }) // nothing is finished before stop has begun
			srv, err = fxlifecycle.Serve(lc, httpServer)
			return err
		}),
	)
	require.NoError(t, app.Err())
	require.NoError(t, app.Start(t.Context()))
	var client sync.WaitGroup
	client.Go(func() {
		res, err := http.Get("http://" + srv.Addr().String())
		if assert.NoError(t, err) {
			body, _ := io.ReadAll(res.Body)
			assert.Equal(t, "done", string(body), "what is in hand is finished")
			_ = res.Body.Close()
		}
	})
	<-inHandler
	l.clear()
	require.NoError(t, app.Stop(t.Context()))
	client.Wait()
	http.DefaultClient.CloseIdleConnections()

	entries := l.read()
	require.ElementsMatch(t, []string{"task", "handler", "scoped.PreDestroy", "scoped.Destroy", "pool.PreDestroy", "pool.Destroy"}, entries)
	assert.ElementsMatch(t, []string{"task", "handler"}, entries[:2])
	assert.Equal(t, []string{"scoped.PreDestroy", "scoped.Destroy", "pool.PreDestroy", "pool.Destroy"}, entries[2:])
	l.balanced(t)
}

// With and without a coordinator, with and without the application's Runner.
func applications(t *testing.T, test func(t *testing.T, opts fx.Option)) {
	for name, opts := range map[string]func() fx.Option{
		"plain Fx":                func() fx.Option { return fx.Options() },
		"with a coordinator":      func() fx.Option { return fxlifecycle.Coordinate() },
		"with everything":         func() fx.Option { return fx.Options(fxlifecycle.Coordinate(), fxbackground.Module) },
		"with a Runner, plain Fx": func() fx.Option { return fxbackground.Module },
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, fx.Options(opts(), fx.Supply(zap.NewNop()))) })
	}
}

func TestS10_live_scopes_are_waited_for(t *testing.T) {
	t.Parallel()
	applications(t, func(t *testing.T, opts fx.Option) {
		synctest.Test(t, func(t *testing.T) {
			l := newLedger()
			scopes, app := build(t, opts, fx.Provide(newPool(l, t)), fxscope.Provide(func(*pool) *top { return &top{l.account(t, "scoped")} }))
			require.NoError(t, app.Start(t.Context()))
			l.clear()
			ctx, sc := scopes.Begin(t.Context())
			go func() {
				time.Sleep(time.Second)
				assert.NoError(t, get[*top](ctx), "a live scope goes on")
				later, ended := scopes.Begin(ctx)
				assert.ErrorIs(t, ended.Err(), fxscope.ErrEnded, "but none begins")
				assert.ErrorIs(t, get[*top](later), fxscope.ErrEnded)
				assert.NoError(t, ended.End(later))
				assert.ErrorIs(t, scopes.Run(ctx, func(context.Context) error { panic("never") }), fxscope.ErrEnded)
				assert.NoError(t, scopes.Ensure(ctx, get[*top]))
				assert.NoError(t, sc.End(ctx))
			}()
			synctest.Wait()
			began := time.Now()
			require.NoError(t, app.Stop(t.Context()))
			assert.Equal(t, time.Second, time.Since(began), "as long as it takes, and no longer")
			assert.Equal(t, []string{"scoped.PreDestroy", "scoped.Destroy", "pool.PreDestroy", "pool.Destroy"}, withoutConstruction(l.read()))
			l.balanced(t)
		})
	})
}

func withoutConstruction(entries []string) []string {
	var rest []string
	for _, e := range entries {
		switch e {
		case "scoped.PostConstruct", "scoped.PreInject", "scoped.PostInject", "scoped.Init":
		default:
			rest = append(rest, e)
		}
	}
	return rest
}

func TestS10_what_does_not_end_is_ended_by_force_and_counted(t *testing.T) {
	t.Parallel()
	applications(t, func(t *testing.T, opts fx.Option) {
		synctest.Test(t, func(t *testing.T) {
			l := newLedger()
			scopes, app := build(t, opts, fx.Provide(newPool(l, t)), fxscope.Provide(func(*pool) *top { return &top{l.account(t, "scoped")} }))
			require.NoError(t, app.Start(t.Context()))
			var live []*fxscope.Scope
			for range 3 {
				ctx, sc := scopes.Begin(t.Context())
				require.NoError(t, get[*top](ctx))
				require.NoError(t, sc.Tasks().Run(ctx, "endless", func(ctx context.Context) error { <-ctx.Done(); return nil }))
				live = append(live, sc)
			}
			l.clear()
			stop, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			began := time.Now()
			err := app.Stop(stop)
			require.Error(t, err)
			assert.ErrorContains(t, err, "fxscope: stop: 3 scopes were still live and had to be ended by force")
			assert.Less(t, time.Since(began), 10*time.Second, "within the budget")
			entries := l.read()
			require.Len(t, entries, 8)
			assert.Equal(t, []string{"pool.PreDestroy", "pool.Destroy"}, entries[6:], "before any singleton is destroyed")
			for _, sc := range live {
				assert.ErrorIs(t, sc.Err(), fxscope.ErrEnded)
				assert.NoError(t, sc.End(t.Context()))
			}
			assert.Zero(t, scopes.Live())
			l.balanced(t)
		})
	})
}

// Scopes that begin before start, in an application that does not come to start: with a coordinator they end all the same.
func TestS10_a_failed_start_ends_scopes(t *testing.T) {
	t.Parallel()
	l := newLedger()
	scopes, app := build(t, fxlifecycle.Coordinate(), fx.Provide(newPool(l, t)),
		fxscope.Provide(func(*pool) *top { return &top{l.account(t, "scoped")} }),
		fx.Invoke(func(lc fx.Lifecycle, scopes *fxscope.Scopes) error {
			ctx, _ := scopes.Begin(context.Background())
			lc.Append(fx.StartHook(func() error { return errRefused }))
			return get[*top](ctx)
		}))
	assert.Equal(t, 1, scopes.Live())
	err := app.Start(t.Context())
	assert.ErrorIs(t, err, errRefused)
	assert.ErrorContains(t, err, "1 scope was still live")
	assert.Zero(t, scopes.Live())
	l.balanced(t)
}

// Nor does a scope outlive an application that fails to build after it began.
func TestS10_a_failed_New_ends_scopes(t *testing.T) {
	t.Parallel()
	l := newLedger()
	var live *fxscope.Scopes
	err := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fxscope.Module, fx.Provide(newPool(l, t)),
		fxscope.Provide(func(*pool) *top { return &top{l.account(t, "scoped")} }),
		fx.Invoke(func(scopes *fxscope.Scopes) error {
			live = scopes
			ctx, sc := scopes.Begin(context.Background())
			return errors.Join(get[*top](ctx), sc.Tasks().Run(ctx, "task", func(ctx context.Context) error { <-ctx.Done(); return nil }))
		}),
		fx.Invoke(func() error { return errRefused }),
	).Err()
	assert.ErrorIs(t, err, errRefused)
	assert.Zero(t, live.Live())
	entries := l.read()
	assert.Equal(t, []string{"scoped.PreDestroy", "scoped.Destroy", "pool.Destroy"}, entries[len(entries)-3:])
	l.balanced(t)
}

// Begin, Get, tasks and End from many goroutines while the application stops: nothing is left, nothing is destroyed twice.
func TestS10_begin_during_stop(t *testing.T) {
	t.Parallel()
	applications(t, func(t *testing.T, opts fx.Option) {
		l := newLedger()
		var poolGone atomic.Bool
		scopes, app := build(t, opts,
			fx.Provide(func(lc fx.Lifecycle) (*db, error) {
				return fxlifecycle.Manage(lc, &db{}, fxlifecycle.WithHooks(fxlifecycle.Hooks{Destroy: func(context.Context) error { poolGone.Store(true); return nil }}))
			}),
			fxscope.Provide(func(*db, *fxbackground.Group) *top {
				assert.False(t, poolGone.Load(), "nothing is built once singletons go")
				return &top{l.account(t, "scoped")}
			}))
		require.NoError(t, app.Start(t.Context()))
		var all sync.WaitGroup
		var ran atomic.Int64
		half := make(chan struct{})
		for range 8 {
			all.Go(func() {
				for {
					err := scopes.Run(context.Background(), func(ctx context.Context) error {
						if ran.Add(1) == 200 {
							close(half)
						}
						sc, _ := fxscope.From(ctx)
						_ = sc.Tasks().Run(ctx, "late", get[*top])
						return nil
					})
					if err != nil {
						assert.ErrorIs(t, err, fxscope.ErrEnded)
						return
					}
				}
			})
		}
		<-half
		assert.NoError(t, app.Stop(t.Context()))
		all.Wait()
		assert.Zero(t, scopes.Live())
		l.balanced(t)
	})
}

func TestS10_the_own_Runner_is_drained(t *testing.T) {
	t.Parallel()
	scopes, app := build(t)
	require.NoError(t, app.Start(t.Context()))
	ctx, sc := scopes.Begin(t.Context())
	require.NoError(t, sc.Tasks().Run(ctx, "task", func(context.Context) error { return nil }))
	require.NoError(t, sc.End(ctx))
	require.NoError(t, app.Stop(t.Context()))
	_, late := scopes.Begin(t.Context())
	assert.ErrorIs(t, late.Tasks().Run(ctx, "task", func(context.Context) error { panic("never") }), fxbackground.ErrDraining)
}
