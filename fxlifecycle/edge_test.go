package fxlifecycle_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/internal/guard"
)

func TestTheContextOfAStartHookLivesUntilStopBegins(t *testing.T) {
	t.Parallel()
	var kept context.Context
	app := fxtest.New(t, fxlifecycle.Coordinate(), fx.Invoke(func(lc fx.Lifecycle) {
		lc.Append(fx.StartHook(func(ctx context.Context) { kept = ctx }))
		lc.Append(fx.StopHook(func() { assert.Error(t, kept.Err()) }))
	}))
	require.NoError(t, app.Start(context.Background()))
	assert.NoError(t, kept.Err(), "what a foreign hook leaves running with it goes on, as in plain Fx")
	require.NoError(t, app.Stop(context.Background()))
}

func TestL7_a_hook_that_has_no_time_left_does_not_begin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newChain().at("a.Init", func(context.Context) error { time.Sleep(12100 * time.Millisecond); return nil }).new()
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		err := c.app.Start(ctx)
		assert.ErrorContains(t, err, "not run, the time for start was over: context deadline exceeded")
		assert.Zero(t, c.count("raw a.OnStart"))
		assert.Equal(t, 1, c.count("a.PreDestroy"), "it did succeed")
		c.verify(t)
	})
}

// blocker is an observer that never returns from the hook it is told to block at.
type blocker struct {
	release    chan struct{}
	began, end bool
}

func (b blocker) HookBegan(e fxlifecycle.Entry) {
	if b.began && e.Hook == "PreDestroy" {
		<-b.release
	}
}

func (b blocker) HookEnded(e fxlifecycle.Entry) {
	if b.end && e.Hook == "PreDestroy" {
		<-b.release
	}
}

func TestL12_an_observer_that_blocks_costs_its_hooks_their_share_and_no_more(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]blocker{"as it begins": {began: true}, "as it ends": {end: true}, "both": {began: true, end: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b.release = make(chan struct{})
				c := newChain().new(observe(b))
				require.NoError(t, c.app.Start(t.Context()))
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				err := c.app.Stop(ctx)
				assert.ErrorContains(t, err, `PreDestroy "a"`)
				assert.NoError(t, ctx.Err())
				for _, name := range chainNames {
					assert.Equal(t, 1, c.count(name+".Destroy"))
				}
				close(b.release)
			})
		})
	}
}

func TestL8_Goexit_in_a_hook_is_an_error(t *testing.T) {
	t.Parallel()
	goexit := func(context.Context) error { runtime.Goexit(); return nil }
	start := newChain().at("b.Init", goexit).new()
	assert.ErrorIs(t, start.app.Start(t.Context()), guard.ErrGoexit)
	start.verify(t)
	stop := newChain().at("b.PreDestroy", goexit).at("raw b.OnStop", goexit).new()
	require.NoError(t, stop.app.Start(t.Context()))
	assert.ErrorIs(t, stop.app.Stop(t.Context()), guard.ErrGoexit)
	stop.verify(t)
}

func TestL3_Goexit_in_a_construction_hook_destroys_the_object(t *testing.T) {
	t.Parallel()
	s := &steps{}
	done := make(chan struct{})
	go func() { // as testing.T.FailNow in a constructor would
		defer close(done)
		_, _ = fxlifecycle.Manage(fxtest.NewLifecycle(t), &object{name: "a", steps: s, do: map[string]func(context.Context) error{
			"PreInject": func(context.Context) error { runtime.Goexit(); return nil },
		}})
	}()
	<-done
	assert.Equal(t, []string{"a.PostConstruct", "a.PreInject", "a.Destroy"}, s.list())
}

func TestCoordinate_may_be_validated_first(t *testing.T) {
	t.Parallel()
	c := newChain()
	option := fx.Options(fx.NopLogger, fxlifecycle.Coordinate(), fx.Invoke(func(lc fx.Lifecycle) { lc.Append(c.raw("raw")) }))
	require.NoError(t, fx.ValidateApp(option))
	app := fx.New(option)
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	assert.Equal(t, []string{"raw.OnStart", "raw.OnStop"}, c.list())
}

func TestL4_what_a_logger_of_Fx_depends_on_is_coordinated(t *testing.T) {
	t.Parallel()
	type sink struct{}
	c := newChain()
	app := fx.New(
		fx.WithLogger(func(sink) fxevent.Logger { return fxevent.NopLogger }),
		fx.Provide(func(lc fx.Lifecycle) (sink, error) { _, err := c.build(lc, "a"); return sink{}, err }),
		fx.Supply(zap.NewNop()),
		fxlifecycle.Coordinate(),
		fx.Invoke(func() error { return errBoom }),
	)
	require.ErrorIs(t, app.Err(), errBoom)
	c.verify(t)
	assert.Equal(t, 1, c.count("a.Destroy"))
}

func TestL9_in_plain_Fx_a_drain_that_hangs_leaves_Destroy_its_time(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, h := &steps{}, hang{release: make(chan struct{})}
		app := fx.New(fx.NopLogger, fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s, do: map[string]func(context.Context) error{"PreDestroy": h.run}})
			return err
		}))
		require.NoError(t, app.Start(t.Context()))
		err := stopWithin(app, 10*time.Second)
		assert.ErrorContains(t, err, `fxlifecycle: PreDestroy "*fxlifecycle_test.object" of `)
		assert.ErrorContains(t, err, "left behind after 7.31s")
		assert.Equal(t, 1, s.count("a.Destroy"))
		close(h.release)
	})
}

func TestL7_a_hook_that_succeeds_after_start_gave_it_up_is_not_drained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Start waits 12.3 s for it, the rollback a share of what is left then.
		c := newChain().at("b.Init", func(context.Context) error { time.Sleep(12500 * time.Millisecond); return nil }).new()
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		begin := time.Now()
		err := c.app.Start(ctx)
		assert.ErrorContains(t, err, `Init "b"`)
		assert.Equal(t, 12500*time.Millisecond, time.Since(begin), "the rollback waited for it, then went on")
		assert.NotContains(t, err.Error(), "left behind")
		assert.Zero(t, c.count("b.PreDestroy"))
		c.verify(t)
	})
}

func TestL1_constructors_may_manage_from_many_goroutines(t *testing.T) {
	t.Parallel()
	const n = 50
	s := &steps{}
	var c *fxlifecycle.Coordinator
	app := fxtest.New(t, fxlifecycle.Coordinate(), fx.Populate(&c), fx.Invoke(func(lc fx.Lifecycle) error {
		done := make(chan error)
		for range n {
			go func() {
				_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s})
				lc.Append(hookOf(s, "raw"))
				_, _ = c.Journal(), c.Phase()
				done <- err
			}()
		}
		var errs []error
		for range n {
			errs = append(errs, <-done)
		}
		return errors.Join(errs...)
	}))
	app.RequireStart().RequireStop()
	for _, step := range []string{"a.PostInject", "a.Init", "a.PreDestroy", "a.Destroy", "raw.OnStart", "raw.OnStop"} {
		assert.Equal(t, n, s.count(step), step)
	}
}
