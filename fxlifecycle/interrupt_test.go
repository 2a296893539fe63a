package fxlifecycle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxlifecycle"
)

func TestL16_stop_during_a_start_that_hangs_cancels_the_hook_and_waits_for_it(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var over time.Time
		c := newChain().at("b.Init", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second) // to tidy up
			over = time.Now()
			return ctx.Err()
		}).at("a.PreDestroy", func(context.Context) error {
			if over.IsZero() {
				return errors.New("phase one began while start still ran")
			}
			return nil
		}).new()
		start := make(chan error, 1)
		go func() { start <- c.app.Start(context.Background()) }()
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, c.app.Stop(context.Background()))
		assert.Equal(t, time.Second, time.Since(begin))
		assert.EqualError(t, <-start, `fxlifecycle: Init "b": context canceled`)
		c.verify(t)
		assert.Equal(t, 1, c.count("a.PreDestroy"))
		assert.Zero(t, c.count("c.Init"))
	})
}

func TestL16_a_hook_that_succeeds_although_stop_began_is_drained_and_start_fails(t *testing.T) {
	t.Parallel()
	for _, site := range []string{"b.Init", "raw c.OnStart"} { // in the middle, and the last of all
		t.Run(site, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newChain().at(site, func(ctx context.Context) error { <-ctx.Done(); return nil }).new()
				start := make(chan error, 1)
				go func() { start <- c.app.Start(context.Background()) }()
				synctest.Wait()
				require.NoError(t, c.app.Stop(context.Background()))
				assert.ErrorContains(t, <-start, "stop began before start was over")
				c.verify(t)
				object, hook := cutStep(site)
				if hook == "Init" {
					assert.Equal(t, 1, c.count(object+".PreDestroy"))
				} else {
					assert.Equal(t, 1, c.count(object+".OnStop"), "its OnStart succeeded, so its OnStop is due")
				}
				assert.Equal(t, fxlifecycle.Stopped, c.coordinator.Phase())
			})
		})
	}
}

func TestL16_a_hook_that_ignores_the_cancellation_is_left_behind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hang{release: make(chan struct{})}
		core, logs := observer.New(zap.WarnLevel)
		c := newChain().at("b.Init", h.run).new(fx.Replace(zap.New(core)))
		start := make(chan error, 1)
		go func() { start <- c.app.Start(context.Background()) }()
		synctest.Wait()
		err := c.app.Stop(context.Background())
		assert.ErrorContains(t, err, `fxlifecycle: Init "b" of `)
		assert.ErrorContains(t, err, "left behind after 5.53s", "half of the first phase: a.PreDestroy has the rest")
		assert.ErrorContains(t, <-start, `fxlifecycle: Init "b" of `, "start ends as well, and says what hung")
		c.verify(t)
		require.Equal(t, 1, logs.Len())
		close(h.release)
		synctest.Wait()
		require.Equal(t, 2, logs.Len())
		assert.Equal(t, "fxlifecycle: a hook that was left behind has returned", logs.All()[1].Message)
	})
}

func TestL16_a_hook_that_succeeds_although_stop_began_has_its_stop_timeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var given time.Duration
		app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, "a", fxlifecycle.WithStopTimeout(5*time.Second), fxlifecycle.WithHooks(fxlifecycle.Hooks{
				Init: func(ctx context.Context) error { <-ctx.Done(); return nil },
				PreDestroy: func(ctx context.Context) error {
					deadline, _ := ctx.Deadline()
					given = time.Until(deadline)
					return nil
				},
			}))
			return err
		}))
		start := make(chan error, 1)
		go func() { start <- app.Start(context.Background()) }()
		synctest.Wait()
		require.NoError(t, app.Stop(context.Background()))
		require.Error(t, <-start)
		assert.Equal(t, 4500*time.Millisecond, given)
	})
}
