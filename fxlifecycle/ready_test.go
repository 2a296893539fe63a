package fxlifecycle_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxlifecycle"
)

func isReady(c *fxlifecycle.Coordinator) bool {
	select {
	case <-c.Ready():
		return true
	default:
		return false
	}
}

func TestOnReady_runs_in_order_after_the_last_OnStart(t *testing.T) {
	t.Parallel()
	s := &steps{}
	var c *fxlifecycle.Coordinator
	app := fxtest.New(t, fxlifecycle.Coordinate(), fx.Supply(zap.NewNop()), fx.Populate(&c), fx.Invoke(func(lc fx.Lifecycle, c *fxlifecycle.Coordinator) {
		c.OnReady(nil)
		c.OnReady(func(context.Context) error {
			s.add("one")
			assert.Equal(t, fxlifecycle.Starting, c.Phase())
			assert.False(t, isReady(c))
			c.OnReady(func(context.Context) error { s.add("registered by one"); return nil })
			return nil
		})
		lc.Append(hookOf(s, "raw"))
		lc.Append(fx.StopHook(func() {})) // nothing to start after the last OnStart
		c.OnReady(func(context.Context) error { s.add("two"); return nil })
	}))
	app.RequireStart()
	assert.Equal(t, []string{"raw.OnStart", "one", "two", "registered by one"}, s.list())
	assert.True(t, isReady(c))
	assert.Equal(t, fxlifecycle.Running, c.Phase())
	c.OnReady(func(ctx context.Context) error { s.add("late"); return ctx.Err() })
	assert.Equal(t, 1, s.count("late"), "at once")
	app.RequireStop()
	c.OnReady(func(context.Context) error { s.add("too late"); return nil })
	assert.Zero(t, s.count("too late"))
	var names []string
	for _, e := range c.Journal() {
		if e.Hook == "OnReady" {
			names = append(names, e.Object)
		}
	}
	assert.Len(t, names, 4)
	assert.Contains(t, names[0], "fxlifecycle_test.TestOnReady_runs_in_order_after_the_last_OnStart.")
}

func TestOnReady_an_error_fails_start_and_everything_is_stopped(t *testing.T) {
	t.Parallel()
	for name, hooks := range map[string]bool{"with hooks": true, "without any": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &steps{}
			var c *fxlifecycle.Coordinator
			app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Populate(&c), fx.Invoke(func(lc fx.Lifecycle, c *fxlifecycle.Coordinator) error {
				c.OnReady(func(context.Context) error { return errBoom })
				c.OnReady(func(context.Context) error { s.add("never"); return nil })
				if hooks {
					lc.Append(hookOf(s, "raw"))
				}
				_, err := fxlifecycle.Manage(lc, "a", fxlifecycle.WithHooks(managed(s, "a")))
				return err
			}))
			err := app.Start(t.Context())
			require.ErrorIs(t, err, errBoom)
			assert.ErrorContains(t, err, "fxlifecycle: OnReady ")
			assert.Equal(t, 1, s.count("a.PreDestroy"))
			assert.Equal(t, 1, s.count("a.Destroy"))
			assert.Equal(t, s.count("raw.OnStart"), s.count("raw.OnStop"))
			assert.Zero(t, s.count("never"))
			assert.False(t, isReady(c))
			assert.Equal(t, fxlifecycle.Stopped, c.Phase())
		})
	}
}

func TestOnReady_is_bounded_like_a_start_hook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &steps{}
		app := fx.New(fx.NopLogger, fx.Supply(zap.NewNop()), fxlifecycle.Coordinate(), fx.Invoke(func(lc fx.Lifecycle, c *fxlifecycle.Coordinator) error {
			c.OnReady(func(context.Context) error { <-release; return nil })
			_, err := fxlifecycle.Manage(lc, "a", fxlifecycle.WithHooks(managed(s, "a")))
			return err
		}))
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		err := app.Start(ctx)
		assert.ErrorContains(t, err, "fxlifecycle: OnReady ")
		assert.ErrorContains(t, err, "did not return, still running after 3.1s")
		assert.Equal(t, []string{"a.PreDestroy", "a.Destroy"}, s.list())
		close(release)
	})
}

func TestOnReady_that_fails_after_start_is_logged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.ErrorLevel)
	var c *fxlifecycle.Coordinator
	app := fxtest.New(t, fxlifecycle.Coordinate(), fx.Supply(zap.New(core)), fx.Populate(&c)).RequireStart()
	c.OnReady(func(context.Context) error { panic(errBoom) })
	require.Equal(t, 1, logs.Len())
	assert.Contains(t, logs.All()[0].ContextMap()["error"], "boom")
	app.RequireStop()
}

func TestL4_a_start_that_is_cancelled_by_its_last_hook_is_rolled_back(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		c := newChain().at("raw c.OnStart", func(context.Context) error { cancel(); return nil }).new()
		require.ErrorIs(t, c.app.Start(ctx), context.Canceled)
		synctest.Wait()
		c.verify(t)
		assert.Equal(t, 1, c.count("c.PreDestroy"))
		assert.Equal(t, 1, c.count("raw c.OnStop"))
		assert.False(t, isReady(c.coordinator))
	})
}

func TestL4_a_context_that_ends_after_start_ends_nothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newChain().new()
		ctx, cancel := context.WithCancel(context.Background())
		require.NoError(t, c.app.Start(ctx))
		cancel()
		synctest.Wait()
		assert.Equal(t, fxlifecycle.Running, c.coordinator.Phase())
		assert.Zero(t, c.count("a.PreDestroy"))
		require.NoError(t, c.app.Stop(context.Background()))
		c.verify(t)
	})
}
