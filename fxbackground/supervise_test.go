package fxbackground_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxlifecycle"
)

func TestB10_a_loop_runs_from_now_to_the_drain_without_Fx(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		var cause error
		line := nextLine()
		require.NoError(t, r.Supervise("consumer", func(ctx context.Context) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return ctx.Err()
		}))
		synctest.Wait()
		infos := r.Running()
		require.Len(t, infos, 1)
		assert.Equal(t, fxbackground.TaskInfo{Name: "consumer", Caller: line, Started: time.Now()}, infos[0])
		assert.Zero(t, r.Stats(), "loops are no tasks")

		began := time.Now()
		drained(t, r)
		assert.Zero(t, time.Since(began))
		assert.EqualError(t, cause, "fxbackground: the drain has begun")
		assert.Zero(t, logs.Len(), "an end that was asked for")
		assert.Empty(t, r.Running())
		assert.ErrorIs(t, r.Supervise("late", untilCancelled), fxbackground.ErrDraining)
	})
}

func TestB10_nil_ends_the_loop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		runs := 0
		require.NoError(t, r.Supervise("once", func(context.Context) error { runs++; return nil }))
		time.Sleep(time.Hour)
		assert.Empty(t, r.Running())
		drained(t, r)
		assert.Equal(t, 1, runs)
	})
}

func TestB10_a_failure_restarts_the_loop(t *testing.T) {
	t.Parallel()
	own, cancel := context.WithCancel(t.Context())
	cancel()
	for name, fail := range map[string]fxbackground.Task{
		"an error":                        func(context.Context) error { return errBoom },
		"a panic":                         func(context.Context) error { panic("no") },
		"runtime.Goexit":                  func(context.Context) error { runtime.Goexit(); return nil },
		"a cancellation that is not ours": func(context.Context) error { return own.Err() },
		"its context's, made up":          func(context.Context) error { return fmt.Errorf("consume: %w", context.Canceled) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, logs := newRunner(t, fxbackground.Config{Timeout: time.Minute})
				var starts []time.Time
				require.NoError(t, r.Supervise("consumer", func(ctx context.Context) error {
					starts = append(starts, time.Now())
					if len(starts) < 5 {
						return fail(ctx)
					}
					return untilCancelled(ctx)
				}))
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Len(t, starts, 5)
				for i := 2; i < 5; i++ {
					// Doubling, less by up to a half at random.
					wait, previous := starts[i].Sub(starts[i-1]), starts[i-1].Sub(starts[i-2])
					assert.Greater(t, wait, previous/2)
					assert.Less(t, wait, 7*previous)
				}
				assert.Greater(t, starts[4].Sub(starts[3]), starts[1].Sub(starts[0]))
				drained(t, r)
				failures := logs.FilterMessage("fxbackground: loop failed and will run again").All()
				require.Len(t, failures, 4)
				assert.Equal(t, zapcore.ErrorLevel, failures[0].Level)
				assert.Contains(t, failures[0].ContextMap(), "error")
				assert.Equal(t, starts[1].Sub(starts[0]), failures[0].ContextMap()["wait"])
			})
		})
	}
}

func TestB10_waits_grow_to_a_limit_and_a_minute_of_health_resets_them(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		var waits []time.Duration
		var ended time.Time
		require.NoError(t, r.Supervise("consumer", func(ctx context.Context) error {
			if !ended.IsZero() {
				waits = append(waits, time.Since(ended))
			}
			switch len(waits) {
			case 30:
				time.Sleep(59 * time.Second) // not healthy yet
			case 31:
				time.Sleep(time.Minute)
			case 32:
				return nil
			}
			ended = time.Now()
			return errBoom
		}))
		time.Sleep(time.Hour)
		drained(t, r)
		require.Len(t, waits, 32)
		require.Equal(t, 32, logs.Len())
		assert.Equal(t, time.Minute, logs.All()[31].ContextMap()["duration"], "of the run that failed")
		assert.Less(t, waits[0], 400*time.Millisecond)
		assert.Greater(t, waits[29], 10*time.Second)
		assert.LessOrEqual(t, waits[29], 45*time.Second)
		assert.Greater(t, waits[30], 10*time.Second)
		assert.Less(t, waits[31], 400*time.Millisecond)
	})
}

func TestB10_nothing_is_restarted_once_the_drain_has_begun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		var runs atomic.Int64
		require.NoError(t, r.Supervise("waits to run again", func(context.Context) error { runs.Add(1); return errBoom }))
		require.NoError(t, r.Supervise("fails at the end", func(ctx context.Context) error {
			<-ctx.Done()
			runs.Add(1)
			return errBoom
		}))
		synctest.Wait()
		began := time.Now()
		drained(t, r)
		assert.Zero(t, time.Since(began))
		time.Sleep(time.Hour)
		assert.Equal(t, int64(2), runs.Load())
		assert.Len(t, logs.FilterMessage("fxbackground: loop failed while it was stopped").All(), 1)
	})
}

func TestB10_loops_are_cancelled_together(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		for range 10 {
			require.NoError(t, r.Supervise("consumer", func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(200 * time.Millisecond)
				return ctx.Err()
			}))
		}
		synctest.Wait()
		began := time.Now()
		drained(t, r)
		assert.Equal(t, 200*time.Millisecond, time.Since(began))
	})
}

func TestB10_a_loop_that_does_not_end_is_left_behind_and_named(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newRunner(t, fxbackground.Config{Timeout: 2 * time.Second, Grace: time.Second})
		line := nextLine()
		require.NoError(t, r.Supervise("deaf", sleep(time.Hour)))
		synctest.Wait()
		began := time.Now()
		err := r.Drain(t.Context())
		assert.Equal(t, 3*time.Second, time.Since(began))
		var drain *fxbackground.DrainError
		require.ErrorAs(t, err, &drain)
		require.Len(t, drain.Abandoned, 1)
		assert.Equal(t, "deaf", drain.Abandoned[0].Name)
		assert.Equal(t, line, drain.Abandoned[0].Caller)
		time.Sleep(2 * time.Hour)
		assert.Len(t, logs.FilterMessage("fxbackground: loop that was left behind has ended").All(), 1)
		assert.Zero(t, r.Stats())
	})
}

// B4 and B10: a loop that winds down may hand over what it has in hand.
func TestB10_a_loop_submits_what_it_has_in_hand_when_it_is_stopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute, Concurrency: 1, Queue: 1})
		ran := false
		var err error
		require.NoError(t, r.Supervise("consumer", func(ctx context.Context) error {
			<-ctx.Done()
			err = r.Run(ctx, "last message", func(ctx context.Context) error {
				ran = ctx.Err() == nil
				return nil
			})
			return nil
		}))
		synctest.Wait()
		drained(t, r)
		assert.NoError(t, err)
		assert.True(t, ran)
	})
}

// B6 and B10: loops take no place.
func TestB6_loops_take_no_place(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute, Concurrency: 1, Queue: 1})
		for range 10 {
			require.NoError(t, r.Supervise("consumer", untilCancelled))
		}
		synctest.Wait()
		done := false
		run(t, r, "task", func(context.Context) error { done = true; return nil })
		synctest.Wait()
		assert.True(t, done)
		drained(t, r)
	})
}

func TestB10_FailApp_without_Fx_is_an_error(t *testing.T) {
	t.Parallel()
	r, _ := newRunner(t, fxbackground.DefaultConfig())
	assert.EqualError(t, r.Supervise("consumer", noop, fxbackground.FailApp()),
		`fxbackground: supervise "consumer": FailApp needs an Fx application to stop: use fxbackground.Module, not New`)
	assert.EqualError(t, r.Supervise("consumer", nil), `fxbackground: supervise "consumer": the function must not be nil`)
	drained(t, r)
}

// In real time: Fx's signals do not go into a bubble.
func TestB10_FailApp_stops_the_application_with_the_cause_in_the_log(t *testing.T) {
	t.Parallel()
	for _, coordinate := range []bool{true, false} {
		for name, fail := range map[string]fxbackground.Task{
			"an error": func(context.Context) error { return errBoom },
			"a panic":  func(context.Context) error { panic(errBoom) },
		} {
			t.Run(fmt.Sprintf("%s, coordinated: %t", name, coordinate), func(t *testing.T) {
				t.Parallel()
				options := fx.Options()
				if coordinate {
					options = fxlifecycle.Coordinate()
				}
				core, logs := observer.New(zapcore.DebugLevel)
				var runs atomic.Int64
				_, app := build(options, fx.Supply(zap.New(core)), fx.Invoke(func(r *fxbackground.Runner) error {
					loop := func(ctx context.Context) error { runs.Add(1); return fail(ctx) }
					// Two at once: Fx's Shutdowner races with itself.
					return errors.Join(
						r.Supervise("consumer", loop, fxbackground.FailApp()),
						r.Supervise("other", loop, fxbackground.FailApp()),
					)
				}))
				require.NoError(t, app.Start(t.Context()))
				signal := <-app.Wait()
				assert.Equal(t, 1, signal.ExitCode)
				require.NoError(t, app.Stop(t.Context()))
				entries := logs.FilterMessage("fxbackground: loop failed, so the application stops").All()
				require.NotEmpty(t, entries, "the second may find the drain begun")
				assert.Contains(t, entries[0].ContextMap()["error"], "boom")
				assert.LessOrEqual(t, runs.Load(), int64(2), "no restart")
			})
		}
	}
}

// shutdowner stands in for Fx's, whose signals do not go into a bubble.
type shutdowner struct{ calls atomic.Int64 }

func (s *shutdowner) Shutdown(...fx.ShutdownOption) error { s.calls.Add(1); return nil }

func TestB10_FailApp_gives_the_order_once_and_restarts_nothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order shutdowner
		var runs atomic.Int64
		r, app := build(fxlifecycle.Coordinate(), fx.Supply(zap.NewNop()),
			fx.Decorate(func(fx.Shutdowner) fx.Shutdowner { return &order }))
		require.NoError(t, app.Start(t.Context()))
		for range 3 {
			require.NoError(t, r.Supervise("consumer", func(context.Context) error { runs.Add(1); return errBoom }, fxbackground.FailApp()))
		}
		time.Sleep(time.Hour)
		assert.Equal(t, int64(1), order.calls.Load())
		assert.Equal(t, int64(3), runs.Load())
		assert.Empty(t, r.Running())
		require.NoError(t, app.Stop(t.Context()))
	})
}

func TestB10_a_loop_that_comes_too_late_is_refused_also_before_the_application_is_ready(t *testing.T) {
	t.Parallel()
	r, app := build()
	require.NoError(t, app.Err())
	require.NoError(t, r.Supervise("in time", untilCancelled))
	drained(t, r)
	assert.ErrorIs(t, r.Supervise("late", untilCancelled), fxbackground.ErrDraining)
}

func TestB10_loops_begin_when_the_application_is_ready(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var started, ready time.Time
		loop := func(ctx context.Context) error { started = time.Now(); return untilCancelled(ctx) }
		r, app := build(fxlifecycle.Coordinate(),
			fx.Invoke(func(r *fxbackground.Runner) error { return r.Supervise("consumer", loop) }),
			fx.Invoke(func(lc fx.Lifecycle, c *fxlifecycle.Coordinator) {
				lc.Append(fx.StartHook(func() { time.Sleep(time.Second) }))
				c.OnReady(func(context.Context) error {
					time.Sleep(time.Second)
					ready = time.Now()
					return nil
				})
			}))
		require.NoError(t, app.Start(t.Context()))
		synctest.Wait()
		assert.False(t, ready.IsZero())
		assert.Equal(t, ready, started)
		assert.Equal(t, []string{"consumer"}, names(r.Running()))

		second := false
		require.NoError(t, r.Supervise("later", func(context.Context) error { second = true; return nil }))
		synctest.Wait()
		assert.True(t, second, "at once, in an application that is ready")
		require.NoError(t, app.Stop(t.Context()))
	})
}

func TestB10_loops_of_an_application_that_never_gets_ready_never_run(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ran := false
		_, app := build(fxlifecycle.Coordinate(),
			fx.Invoke(func(r *fxbackground.Runner) error {
				return r.Supervise("consumer", func(context.Context) error { ran = true; return nil })
			}),
			fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StartHook(func() error { return errBoom })) }))
		require.ErrorIs(t, app.Start(t.Context()), errBoom)
		synctest.Wait()
		assert.False(t, ran)
	})
}
