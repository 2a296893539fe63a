package fxlifecycle_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/internal/phase"
)

// drainer is an object whose PreDestroy does do.
func drainer(name string, do func(context.Context) error, opts ...fxlifecycle.Option) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle) error {
		_, err := fxlifecycle.Manage(lc, name, append(opts, fxlifecycle.WithName(name),
			fxlifecycle.WithHooks(fxlifecycle.Hooks{PreDestroy: do}))...)
		return err
	})
}

func started(t *testing.T, opts ...fx.Option) *fx.App {
	t.Helper()
	app := fx.New(append([]fx.Option{fx.NopLogger, fx.Supply(zap.NewNop()), fxlifecycle.Coordinate()}, opts...)...)
	require.NoError(t, app.Start(t.Context()))
	return app
}

func stopWithin(app *fx.App, budget time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	return app.Stop(ctx)
}

func TestL6_a_hundred_hooks_that_hang_are_each_left_behind_and_named(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		core, logs := observer.New(zap.WarnLevel)
		release, destroyed := make(chan struct{}), 0
		opts := []fx.Option{fx.Replace(zap.New(core))}
		for i := range n {
			opts = append(opts, fx.Invoke(func(lc fx.Lifecycle) error {
				_, err := fxlifecycle.Manage(lc, i, fxlifecycle.WithName(fmt.Sprintf("o%d", i)), fxlifecycle.WithHooks(fxlifecycle.Hooks{
					PreDestroy: func(context.Context) error { <-release; return errBoom },
					Destroy:    func(context.Context) error { destroyed++; return nil },
				}))
				return err
			}))
		}
		app := started(t, opts...)
		begin := time.Now()
		err := stopWithin(app, 10*time.Second)
		assert.Equal(t, 7312500*time.Microsecond, time.Since(begin), "three quarters of 9.75 s: ten seconds less the reserve")
		assert.Equal(t, n, destroyed)
		for i := range n {
			assert.ErrorContains(t, err, fmt.Sprintf(`fxlifecycle: PreDestroy "o%d" of github.com/fxkit/fxkit/fxlifecycle_test.`, i))
		}
		var behind *phase.LeftBehind
		require.ErrorAs(t, err, &behind)
		assert.InDelta(t, 73*time.Millisecond, behind.After, float64(time.Millisecond), "a hundredth of the phase")
		require.Equal(t, n, logs.Len())
		entry := logs.All()[0]
		assert.Equal(t, "fxlifecycle: a hook was left behind: it still runs although its context has ended", entry.Message)
		assert.Equal(t, "o99", entry.ContextMap()["object"])
		assert.Contains(t, entry.ContextMap()["caller"], "budget_test.go")
		assert.InDelta(t, 73*time.Millisecond, entry.ContextMap()["after"], float64(time.Millisecond))

		time.Sleep(time.Minute)
		close(release)
		synctest.Wait()
		require.Equal(t, 2*n, logs.Len(), "that they have returned at last is logged as well")
		entry = logs.All()[n]
		assert.Equal(t, "fxlifecycle: a hook that was left behind has returned", entry.Message)
		assert.Equal(t, "boom", entry.ContextMap()["error"])
		assert.Greater(t, entry.ContextMap()["ran"], time.Minute)
	})
}

func TestL6_budgets_with_and_without_deadline(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		option         fxlifecycle.CoordinatorOption
		deadline       time.Duration
		phaseOne, both time.Duration
	}{
		"no deadline is 15 s":               {nil, 0, 14750 * time.Millisecond * 3 / 4, 14750 * time.Millisecond},
		"no deadline is what the option is": {fxlifecycle.WithStopBudget(time.Minute), 0, 59750 * time.Millisecond * 3 / 4, 59750 * time.Millisecond},
		"a deadline counts":                 {fxlifecycle.WithStopBudget(time.Minute), 2 * time.Second, 1425 * time.Millisecond, 1900 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				hang := func(context.Context) error { <-release; return nil }
				app := fx.New(fx.NopLogger, fx.Supply(zap.NewNop()), fxlifecycle.Coordinate(tt.option), fx.Invoke(func(lc fx.Lifecycle) error {
					_, err := fxlifecycle.Manage(lc, "a", fxlifecycle.WithName("a"), fxlifecycle.WithHooks(fxlifecycle.Hooks{PreDestroy: hang, Destroy: hang}))
					return err
				}))
				require.NoError(t, app.Start(t.Context()))
				ctx := context.Background()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				begin := time.Now()
				err := app.Stop(ctx)
				assert.Equal(t, tt.both, time.Since(begin))
				assert.ErrorContains(t, err, fmt.Sprintf("left behind after %s", phase.Round(tt.phaseOne)))
				assert.ErrorContains(t, err, fmt.Sprintf("left behind after %s", phase.Round(tt.both-tt.phaseOne)))
				close(release)
			})
		})
	}
}

func TestL6_a_hook_gets_the_time_left_by_the_hooks_left_and_its_context_a_tenth_less(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var given []time.Duration
		take := func(d time.Duration) func(context.Context) error {
			return func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				given = append(given, time.Until(deadline).Round(time.Millisecond))
				time.Sleep(d)
				return nil
			}
		}
		app := started(t, // stop runs these from the last to the first
			drainer("d", take(0)),
			drainer("c", take(0), fxlifecycle.WithStopTimeout(6*time.Second)),
			drainer("b", take(time.Second)),
			drainer("a", take(0)),
		)
		// 20.25 s less 250 ms, of which three quarters are 15 s: 6 of them for c, 9 for three others.
		require.NoError(t, stopWithin(app, 20250*time.Millisecond))
		assert.Equal(t, []time.Duration{
			2700 * time.Millisecond,  // a: nine tenths of 3 s, of which it uses nothing
			4050 * time.Millisecond,  // b: of 4.5 s, of which it uses one
			5400 * time.Millisecond,  // c: of its 6 s, of which it uses nothing
			12600 * time.Millisecond, // d, the last: of the 14 s that are left
		}, given)
	})
}

func TestL6_a_stop_timeout_leaves_a_tenth_to_the_others(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var given time.Duration
		app := started(t,
			drainer("short", func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				given = time.Until(deadline)
				return nil
			}),
			drainer("greedy", func(context.Context) error { <-release; return nil }, fxlifecycle.WithStopTimeout(time.Hour)),
		)
		require.ErrorContains(t, stopWithin(app, 20250*time.Millisecond), "left behind after 13.5s")
		assert.Equal(t, 1350*time.Millisecond, given.Round(time.Microsecond), "nine tenths of 1.5 s")
		close(release)
	})
}

func TestL6_shares_go_down_to_a_millisecond_and_the_rest_still_runs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		release := make(chan struct{})
		var ran, live atomic.Int64 // hooks that were left behind are not ordered with those after them
		var c *fxlifecycle.Coordinator
		opts := []fx.Option{fx.Populate(&c)}
		for range n {
			opts = append(opts, fx.Invoke(func(lc fx.Lifecycle) error {
				lc.Append(fx.StopHook(func(ctx context.Context) error {
					ran.Add(1)
					if ctx.Err() == nil {
						live.Add(1)
					}
					<-release
					return nil
				}))
				return nil
			}))
		}
		app := started(t, opts...)
		begin := time.Now()
		assert.ErrorIs(t, stopWithin(app, 20*time.Millisecond), context.DeadlineExceeded, "Fx has returned meanwhile, without our errors")
		assert.Equal(t, 20*time.Millisecond, time.Since(begin))
		err := c.Close(t.Context())
		assert.Equal(t, n*time.Millisecond, time.Since(begin))
		assert.ErrorContains(t, err, "left behind after 1ms", "Close has those that nobody got")
		assert.EqualValues(t, n, ran.Load())
		assert.EqualValues(t, n, live.Load(), "each with a context that had not ended")
		close(release)
	})
}

func TestL6_a_cancelled_stop_cancels_the_hook_that_runs_and_gives_the_rest_their_time(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c *fxlifecycle.Coordinator
		var seen []error
		app := started(t, fx.Populate(&c),
			drainer("second", func(ctx context.Context) error { seen = append(seen, ctx.Err()); return nil }),
			drainer("first", func(ctx context.Context) error {
				<-ctx.Done()
				seen = append(seen, context.Cause(ctx))
				return ctx.Err()
			}),
		)
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		assert.ErrorIs(t, app.Stop(ctx), context.Canceled)
		assert.ErrorContains(t, c.Close(t.Context()), `fxlifecycle: PreDestroy "first": context canceled`)
		assert.Equal(t, time.Second, time.Since(begin))
		assert.Equal(t, []error{context.Canceled, nil}, seen)
	})
}

func starter(name string, do func(context.Context) error) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle) error {
		_, err := fxlifecycle.Manage(lc, name, fxlifecycle.WithName(name), fxlifecycle.WithHooks(fxlifecycle.Hooks{Init: do}))
		return err
	})
}

func TestL7_a_start_hook_is_bounded_by_the_deadline_less_a_reserve(t *testing.T) {
	t.Parallel()
	for deadline, bound := range map[time.Duration]time.Duration{
		15 * time.Second: 12 * time.Second, time.Minute: 57 * time.Second, 4 * time.Second: 3 * time.Second, 0: 0,
	} {
		t.Run(deadline.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var got time.Duration
				app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), starter("a", func(ctx context.Context) error {
					if deadline, ok := ctx.Deadline(); ok {
						got = deadline.Sub(begin)
					}
					return nil
				}))
				ctx := context.Background()
				if deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, deadline)
					defer cancel()
				}
				require.NoError(t, app.Start(ctx))
				assert.Equal(t, bound, got)
				require.NoError(t, app.Stop(context.Background()))
			})
		})
	}
}

func TestL7_a_start_that_times_out_names_the_hook_and_is_rolled_back_in_full(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hang{"honours its context": {true, nil}, "ignores it": {false, make(chan struct{})}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if !h.honours {
					h.release = make(chan struct{}) // of this bubble
				}
				c := newChain().at("b.Init", h.run).new()
				ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
				defer cancel()
				begin := time.Now()
				err := c.app.Start(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Less(t, time.Since(begin), 15*time.Second)
				assert.ErrorContains(t, err, `fxlifecycle: Init "b" of github.com/fxkit/fxkit/fxlifecycle_test.(*chain).build (`)
				if h.honours {
					assert.ErrorContains(t, err, "failed after 12s, when the time for start was over (its deadline less what a rollback needs): context deadline exceeded")
					assert.Equal(t, 12*time.Second, time.Since(begin))
				} else {
					assert.ErrorContains(t, err, "did not return, still running after 12.3s although its context has ended: context deadline exceeded")
				}
				c.verify(t)
				assert.Equal(t, 1, c.count("a.PreDestroy"))
				assert.Zero(t, c.count("b.PreDestroy"))
				assert.Equal(t, 1, c.count("raw a.OnStop"))
				assert.Zero(t, c.count("raw b.OnStop"))
				if !h.honours {
					close(h.release)
				}
			})
		})
	}
}
