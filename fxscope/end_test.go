package fxscope_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxscope"
)

func TestS6_End_runs_once(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		scopes := begin(t, fxscope.Provide(func() *slow {
			return &slow{func(context.Context) error { runs.Add(1); time.Sleep(time.Second); return errRefused }}
		}))
		ctx, sc := scopes.Begin(t.Context())
		require.NoError(t, get[*slow](ctx))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { assert.ErrorIs(t, sc.End(t.Context()), errRefused, "each gets the result") })
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := sc.End(impatient)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "but waits no longer than it may")
		assert.ErrorContains(t, err, "waiting for the End that has begun already")
		assert.Equal(t, 1, scopes.Live(), "it lives until it has ended")
		all.Wait()
		assert.EqualValues(t, 1, runs.Load())
		assert.ErrorIs(t, sc.End(ctx), errRefused, "also when it is over")
		assert.Zero(t, scopes.Live())
	})
}

// slow has only a Destroy.
type slow struct{ destroy func(context.Context) error }

func (s *slow) Destroy(ctx context.Context) error { return s.destroy(ctx) }

func TestS6_a_hook_that_outlives_its_share_is_left_behind_and_named(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		release := make(chan struct{})
		var after bool
		scopes := begin(t,
			fx.Supply(zap.New(core)),
			fxconfig.From(fxconfig.Text("config.yaml", "scope: {endTimeout: 8s}")),
			fxscope.Provide(
				func() *bottomSlow { return &bottomSlow{slow{func(context.Context) error { after = true; return nil }}} },
				func(*bottomSlow) *slow {
					return &slow{func(ctx context.Context) error {
						<-release // whatever its context says
						return errRefused
					}}
				},
			),
		)
		ctx, sc := scopes.Begin(t.Context())
		require.NoError(t, get[*slow](ctx))
		began := time.Now()
		err := sc.End(t.Context())
		took := time.Since(began)
		assert.ErrorContains(t, err, "Destroy of *fxscope_test.slow from ")
		assert.ErrorContains(t, err, "left behind after")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.True(t, after, "the rest still runs")
		assert.Greater(t, took, 3*time.Second)
		assert.Less(t, took, 8*time.Second, "all of it within endTimeout")
		close(release)
		synctest.Wait()
		require.Equal(t, 1, logs.FilterMessage("fxscope: a hook that was left behind has returned").Len())
		assert.Equal(t, "connection refused", logs.All()[0].ContextMap()["error"])
	})
}

type bottomSlow struct{ slow }

func TestS6_End_drains_tasks_within_three_quarters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		scopes := begin(t,
			fxconfig.From(fxconfig.Text("config.yaml", "scope: {endTimeout: 10s}\nbackgroundTask: {timeout: infinite, grace: 100ms}")),
			fxbackground.Module,
			fx.Supply(zap.NewNop()),
			fxscope.Provide(func() *bottom { return &bottom{l.account(t, "bottom")} }),
		)
		ctx, sc := scopes.Begin(t.Context())
		require.NoError(t, get[*bottom](ctx))
		require.NoError(t, sc.Tasks().Run(ctx, "quick", func(context.Context) error {
			time.Sleep(time.Second)
			l.write("quick done")
			return nil
		}))
		require.NoError(t, sc.Tasks().Run(ctx, "endless", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Minute)
			return nil
		}))
		began := time.Now()
		err := sc.End(t.Context())
		var drain *fxbackground.DrainError
		require.ErrorAs(t, err, &drain)
		require.Len(t, drain.Abandoned, 1)
		assert.Equal(t, "endless", drain.Abandoned[0].Name)
		assert.InDelta(t, 7.5, time.Since(began).Seconds(), 0.5)
		entries := l.read()
		assert.Less(t, indexOf(entries, "quick done"), indexOf(entries, "bottom.PreDestroy"), "tasks first")
		l.balanced(t)
		time.Sleep(2 * time.Minute)
	})
}

func indexOf(entries []string, entry string) int {
	for i, e := range entries {
		if e == entry {
			return i
		}
	}
	return -1
}

func TestS7_tasks_may_get_until_the_drain_is_over(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		scopes := begin(t, fxscope.Provide(
			func() *bottom { return &bottom{l.account(t, "bottom")} },
			func(*bottom, *fxbackground.Group) *top { return &top{l.account(t, "top")} },
		))
		ctx, sc := scopes.Begin(t.Context())
		require.NoError(t, sc.Tasks().Run(ctx, "late", func(ctx context.Context) error {
			time.Sleep(time.Second)
			assert.NoError(t, get[*top](ctx), "End has begun and the drain is not over")
			assert.NoError(t, sc.Err())
			return sc.Tasks().Run(ctx, "child", func(ctx context.Context) error { return get[*top](ctx) })
		}))
		require.NoError(t, sc.End(ctx))
		assert.ErrorIs(t, get[*top](ctx), fxscope.ErrEnded, "also of what was built")
		assert.ErrorIs(t, get[*middle](ctx), fxscope.ErrEnded)
		assert.ErrorIs(t, sc.Tasks().Run(ctx, "too late", func(context.Context) error { panic("never") }), fxbackground.ErrDraining)
		l.balanced(t)
	})
}

func TestS7_the_group_of_an_ended_scope_accepts_nothing(t *testing.T) {
	t.Parallel()
	scopes := begin(t)
	ctx, sc := scopes.Begin(t.Context())
	require.NoError(t, sc.End(ctx))
	assert.ErrorIs(t, sc.Tasks().Run(ctx, "too late", func(context.Context) error { panic("never") }), fxbackground.ErrDraining)
}

func TestS7_what_is_finished_after_the_end_is_destroyed_by_its_builder(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(l *ledger, t *testing.T) any{
		"a constructor": func(l *ledger, t *testing.T) any {
			return func(*bottom) *top { time.Sleep(time.Minute); return &top{l.account(t, "late")} }
		},
		"an Init": func(l *ledger, t *testing.T) any {
			return func(*bottom) *sleepy { return &sleepy{l.account(t, "late")} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLedger()
				scopes := begin(t, fxscope.Provide(
					build(l, t),
					func() *bottom { return &bottom{l.account(t, "bottom")} },
				))
				ctx, sc := scopes.Begin(t.Context())
				errs := make(chan error, 4)
				for range 2 { // one builds, one waits
					go func() {
						if strings.Contains(name, "Init") {
							errs <- get[*sleepy](ctx)
							return
						}
						errs <- get[*top](ctx)
					}()
				}
				synctest.Wait()
				began := time.Now()
				require.NoError(t, sc.End(t.Context()))
				assert.Zero(t, time.Since(began), "End does not wait for it")
				assert.Zero(t, scopes.Live())
				for range 2 {
					assert.ErrorIs(t, <-errs, fxscope.ErrEnded)
				}
				l.balanced(t)
				if strings.Contains(name, "Init") {
					assert.Contains(t, l.read(), "late.PreDestroy", "it was ready")
				} else {
					assert.NotContains(t, l.read(), "late.PostConstruct", "nobody will use it")
				}
			})
		})
	}
}

func TestS7_nor_is_what_has_no_hooks_handed_out(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scopes := begin(t, fxscope.Provide(func() *db { time.Sleep(time.Minute); return &db{} }))
		ctx, sc := scopes.Begin(t.Context())
		got := make(chan error)
		go func() { got <- get[*db](ctx) }()
		synctest.Wait()
		require.NoError(t, sc.End(ctx))
		assert.ErrorIs(t, <-got, fxscope.ErrEnded)
	})
}

type sleepy struct{ *account }

func (s *sleepy) Init(ctx context.Context) error {
	time.Sleep(time.Minute)
	return s.account.Init(ctx)
}

func TestEnd_with_a_cancelled_context_runs_every_hook(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Provide(func() *slow {
		return &slow{func(ctx context.Context) error { return ctx.Err() }}
	}))
	ctx, sc := scopes.Begin(t.Context())
	require.NoError(t, get[*slow](ctx))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	assert.NoError(t, sc.End(cancelled), "with a context that lives")
}

// What ends a request ends neither the tasks that it left nor the hooks.
func TestRun_ends_a_cancelled_scope_in_full(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var finished, destroyed bool
		scopes := begin(t, fxscope.Provide(func() *slow {
			return &slow{func(ctx context.Context) error { destroyed = true; return ctx.Err() }}
		}))
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, scopes.Run(ctx, func(ctx context.Context) error {
			sc, _ := fxscope.From(ctx)
			err := sc.Tasks().Run(ctx, "task", func(ctx context.Context) error {
				time.Sleep(time.Second)
				finished = ctx.Err() == nil
				return nil
			})
			cancel()
			return errors.Join(err, get[*slow](ctx))
		}))
		assert.True(t, finished)
		assert.True(t, destroyed)
	})
}

func TestEnd_hooks_have_the_values_of_the_scope(t *testing.T) {
	t.Parallel()
	var in *fxscope.Scope
	scopes := begin(t, fxscope.Provide(func() *slow {
		return &slow{func(ctx context.Context) error {
			in, _ = fxscope.From(ctx)
			return get[*slow](ctx)
		}}
	}))
	ctx, sc := scopes.Begin(t.Context())
	require.NoError(t, get[*slow](ctx))
	assert.ErrorIs(t, sc.End(context.Background()), fxscope.ErrEnded)
	assert.Same(t, sc, in)
}

func TestS8_scopes_are_independent(t *testing.T) {
	t.Parallel()
	l := newLedger()
	scopes := begin(t, fxscope.Value[tenant](), fxscope.Provide(func() *bottom { return &bottom{l.account(t, "bottom")} }))
	outer, sc := scopes.Begin(t.Context(), fxscope.With[tenant]("outer"))
	b, err := fxscope.Get[*bottom](outer)
	require.NoError(t, err)

	require.NoError(t, scopes.Run(outer, func(inner context.Context) error {
		other, err := fxscope.Get[*bottom](inner)
		assert.NotSame(t, b, other)
		assert.ErrorIs(t, get[tenant](inner), fxscope.ErrNotProvided, "its own values too")
		again, err2 := fxscope.Get[*bottom](outer)
		assert.Same(t, b, again)
		return errors.Join(err, err2)
	}))
	assert.NoError(t, get[*bottom](outer), "the inner one did not end it")

	inner, sc2 := scopes.Begin(outer)
	require.NoError(t, sc.End(outer))
	assert.NoError(t, get[*bottom](inner), "nor does it end with the outer one")
	require.NoError(t, sc2.End(inner))
	l.balanced(t)
}

func TestRun_and_Ensure(t *testing.T) {
	t.Parallel()
	l := newLedger()
	core, logs := observer.New(zap.WarnLevel)
	failing := fxscope.Provide(func() *bottom {
		a := l.account(t, "bottom")
		a.fail, a.err = "Destroy", errors.New("destroy failed")
		return &bottom{a}
	})
	scopes := begin(t, failing)
	err := scopes.Run(t.Context(), func(ctx context.Context) error { return errors.Join(get[*bottom](ctx), errRefused) })
	assert.ErrorIs(t, err, errRefused)
	assert.ErrorContains(t, err, "destroy failed", "the errors of both")
	scopes = begin(t, fx.Supply(zap.New(core)), failing)
	assert.PanicsWithValue(t, "boom", func() {
		_ = scopes.Run(t.Context(), func(ctx context.Context) error { assert.NoError(t, get[*bottom](ctx)); panic("boom") })
	})
	l.balanced(t)
	assert.Equal(t, 1, logs.FilterMessage("fxscope: a scope did not end cleanly").Len(), "the panic leaves only the log")

	cancelled, cancel := context.WithCancel(t.Context())
	_ = scopes.Run(cancelled, func(ctx context.Context) error { defer cancel(); return get[*bottom](ctx) })
	l.balanced(t)

	var one, two, three *fxscope.Scope
	require.NoError(t, scopes.Ensure(t.Context(), func(ctx context.Context) error {
		one, _ = fxscope.From(ctx)
		err := scopes.Ensure(ctx, func(ctx context.Context) error { two, _ = fxscope.From(ctx); return nil })
		assert.NoError(t, one.Err(), "and does not end what it did not begin")
		assert.NoError(t, one.End(ctx))
		return errors.Join(err, scopes.Ensure(ctx, func(ctx context.Context) error { three, _ = fxscope.From(ctx); return nil }))
	}))
	assert.Same(t, one, two)
	assert.NotSame(t, one, three, "an ended scope is of no use")
	require.NoError(t, begin(t).Ensure(t.Context(), func(context.Context) error { return nil }))
	assert.Zero(t, scopes.Live())
}

func TestRelease_logs_what_nobody_gets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		scopes := begin(t, fx.Supply(zap.New(core)), fxscope.Provide(func() *slow {
			return &slow{func(context.Context) error { time.Sleep(time.Second); return errRefused }}
		}))
		ctx, sc := scopes.Begin(t.Context())
		require.NoError(t, get[*slow](ctx))
		sc.Release()
		sc.Release()
		assert.Equal(t, 1, scopes.Live())
		assert.ErrorIs(t, sc.End(ctx), errRefused)
		sc.Release()
		synctest.Wait()
		entries := logs.FilterMessage("fxscope: a scope did not end cleanly").All()
		require.Len(t, entries, 1)
		assert.Equal(t, sc.ID(), entries[0].ContextMap()["scope"])

		_, quiet := scopes.Begin(t.Context())
		quiet.Release()
		assert.ErrorIs(t, quiet.Err(), fxscope.ErrEnded, "with nothing to do it is over at once")
	})
}

func TestConfig_endTimeout(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 15*time.Second, fxscope.DefaultConfig().EndTimeout)
	for _, text := range []string{"0s", "-1s", "soon", "{}"} {
		err := planError(t, fxconfig.From(fxconfig.Text("config.yaml", "scope: {endTimeout: "+text+"}")), fxscope.Value[tenant]())
		assert.ErrorContains(t, err, "config.yaml:1:", text)
		assert.ErrorContains(t, err, "scope.endTimeout: ")
	}
	assert.ErrorContains(t, planError(t, fxconfig.From(fxconfig.Text("config.yaml", "scope: {endTimout: 1s}")), fxscope.Value[tenant]()), `did you mean "endTimeout"?`)
	begin(t, fxconfig.From(fxconfig.Text("config.yaml", "scope: {endTimeout: 1s}")), fxscope.Value[tenant]())
}
