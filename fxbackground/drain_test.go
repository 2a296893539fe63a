package fxbackground_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxbackground"
)

// drainee is a Runner or a Group of one: the rules of draining are the same.
type drainee interface {
	runs
	Drain(context.Context) error
	Running() []fxbackground.TaskInfo
	Stats() fxbackground.Stats
}

// eachDrainee runs a test in a bubble of virtual time, for a Runner and for a Group, with and without limits.
func eachDrainee(t *testing.T, cfg fxbackground.Config, test func(t *testing.T, d drainee)) {
	t.Parallel()
	for _, limit := range []int{0, 50} {
		for _, group := range []bool{false, true} {
			t.Run(fmt.Sprintf("limit=%d/group=%t", limit, group), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					cfg := cfg
					cfg.Concurrency = limit
					r, _ := newRunner(t, cfg)
					if !group {
						test(t, r)
						return
					}
					test(t, r.Group("g"))
					drained(t, r)
				})
			})
		}
	}
}

func TestB3_drain_waits_for_tasks_and_for_what_they_submit(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Timeout: time.Minute}, func(t *testing.T, d drainee) {
		var ran atomic.Int64
		var task func(depth int) fxbackground.Task
		task = func(depth int) fxbackground.Task {
			return func(ctx context.Context) error {
				time.Sleep(time.Second)
				ran.Add(1)
				if depth == 0 {
					return nil
				}
				return errors.Join(d.Run(ctx, "child", task(depth-1)), d.Run(ctx, "child", task(depth-1)))
			}
		}
		run(t, d, "root", task(4))
		began := time.Now()
		require.NoError(t, d.Drain(t.Context()))
		assert.Equal(t, int64(31), ran.Load())
		assert.Equal(t, 5*time.Second, time.Since(began))
		assert.Equal(t, fxbackground.Stats{Submitted: 31, Succeeded: 31}, d.Stats())
	})
}

func TestB3_the_timeout_is_in_total_even_if_tasks_submit_for_ever(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Timeout: 10 * time.Second, Grace: time.Second}, func(t *testing.T, d drainee) {
		var task fxbackground.Task
		var refused atomic.Int64
		task = func(ctx context.Context) error {
			time.Sleep(3 * time.Second)
			err := d.Run(ctx, "again", task)
			if errors.Is(err, fxbackground.ErrDraining) {
				refused.Add(1)
			}
			return err
		}
		run(t, d, "first", task)
		began := time.Now()
		err := d.Drain(t.Context())
		assert.Equal(t, 11*time.Second, time.Since(began))
		assert.Equal(t, []string{"again"}, leftBehind(t, err))
		time.Sleep(time.Minute)
		assert.Equal(t, int64(1), refused.Load(), "from the cancelling on nobody submits")
	})
}

func TestB3_late_tasks_are_cancelled_and_get_their_grace(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Timeout: 10 * time.Second, Grace: 2 * time.Second}, func(t *testing.T, d drainee) {
		var cause error
		run(t, d, "listens", func(ctx context.Context) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(time.Second)
			return nil
		})
		began := time.Now()
		require.NoError(t, d.Drain(t.Context()))
		assert.Equal(t, 11*time.Second, time.Since(began))
		assert.EqualError(t, cause, "fxbackground: the drain ran out of time")
		assert.Equal(t, fxbackground.Stats{Submitted: 1, Succeeded: 1}, d.Stats())
	})
}

func TestB3_what_is_left_behind_is_named_with_where_it_came_from(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Timeout: 10 * time.Second, Grace: 2 * time.Second}, func(t *testing.T, d drainee) {
		var lines []string
		hold := make(chan struct{})
		for range 3 {
			lines = append(lines, nextLine())
			require.NoError(t, d.Run(t.Context(), "deaf", func(context.Context) error { <-hold; return nil }))
		}
		line := nextLine()
		require.NoError(t, d.Run(t.Context(), "deafer", func(context.Context) error { <-hold; return nil }))
		run(t, d, "fine", untilCancelled)

		err := d.Drain(t.Context())
		var drain *fxbackground.DrainError
		require.ErrorAs(t, err, &drain)
		assert.Equal(t, 12*time.Second, drain.Waited)
		require.Len(t, drain.Abandoned, 4)
		assert.Equal(t, []string{"deaf", "deaf", "deaf", "deafer"}, names(drain.Abandoned))
		for _, info := range drain.Abandoned {
			want := line
			if info.Name == "deaf" {
				want = lines[0]
			}
			assert.Equal(t, want, info.Caller)
		}
		group := ""
		if drain.Abandoned[0].Group != "" {
			group = ` of group "g"`
		}
		assert.EqualError(t, err, fmt.Sprintf(`fxbackground: drain: 4 tasks left behind after 12s: 3 of "deaf"%s (%s), "deafer"%s (%s)`, group, lines[0], group, line))
		assert.Equal(t, fxbackground.Stats{Submitted: 5, Running: 4, Failed: 1, Abandoned: 4}, d.Stats())

		close(hold)
		synctest.Wait()
		assert.Equal(t, fxbackground.Stats{Submitted: 5, Succeeded: 4, Failed: 1, Abandoned: 4}, d.Stats())
		assert.NoError(t, d.Drain(t.Context()), "they have ended after all")
	})
}

func TestB3_a_drain_ends_before_its_context(t *testing.T) {
	t.Parallel()
	const deaf, polite = time.Hour, 5 * time.Millisecond // how long a task takes after it is cancelled
	for _, tt := range []struct {
		name                    string
		timeout, grace, context time.Duration
		windDown                time.Duration
		atLeast, atMost         time.Duration
		left                    bool
	}{
		{"a timeout and grace that fit are not touched", 5 * time.Second, time.Second, time.Minute, deaf, 6 * time.Second, 6 * time.Second, true},
		{"infinite is no longer than the context", fxbackground.Infinite, time.Second, 20 * time.Second, deaf, 19 * time.Second, 20*time.Second - 1, true},
		{"infinite leaves time for the grace", fxbackground.Infinite, time.Second, 20 * time.Second, polite, 19 * time.Second, 19*time.Second + polite, false},
		{"a grace that is too long is shortened", time.Second, time.Hour, 10 * time.Second, deaf, 9 * time.Second, 10*time.Second - 1, true},
		{"a context that is short still has a grace", time.Minute, time.Second, time.Second, polite, 900 * time.Millisecond, 950 * time.Millisecond, false},
		{"a context that has ended waits for nothing", time.Minute, time.Second, 0, deaf, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, _ := newRunner(t, fxbackground.Config{Timeout: tt.timeout, Grace: tt.grace})
				run(t, r, "task", func(ctx context.Context) error {
					<-ctx.Done()
					time.Sleep(tt.windDown)
					return nil
				})
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), tt.context)
				defer cancel()
				began := time.Now()
				err := r.Drain(ctx)
				took := time.Since(began)
				assert.GreaterOrEqual(t, took, tt.atLeast)
				assert.LessOrEqual(t, took, tt.atMost)
				assert.Equal(t, tt.left, err != nil)
				if tt.context > 0 {
					assert.NoError(t, ctx.Err(), "the drain ends first")
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

func TestB3_a_context_that_is_cancelled_ends_the_drain_at_once(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Timeout: fxbackground.Infinite, Grace: time.Minute}, func(t *testing.T, d drainee) {
		hold := make(chan struct{})
		run(t, d, "deaf", func(context.Context) error { <-hold; return nil })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		began := time.Now()
		assert.Equal(t, []string{"deaf"}, leftBehind(t, d.Drain(ctx)))
		assert.Equal(t, 3*time.Second, time.Since(began))
		close(hold)
	})
}

func TestB3_with_nothing_to_wait_for_a_drain_is_done(t *testing.T) {
	eachDrainee(t, fxbackground.Config{}, func(t *testing.T, d drainee) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.NoError(t, d.Drain(ctx))
		assert.NoError(t, d.Drain(ctx))
	})
}

func TestB3_all_who_drain_wait_for_the_same_drain(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Timeout: 10 * time.Second, Grace: time.Second}, func(t *testing.T, d drainee) {
		hold := make(chan struct{})
		run(t, d, "deaf", func(context.Context) error { <-hold; return nil })
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				assert.Equal(t, []string{"deaf"}, leftBehind(t, d.Drain(t.Context())))
				assert.Equal(t, 11*time.Second, time.Since(began))
			})
		}
		wg.Wait()
		assert.Equal(t, []string{"deaf"}, leftBehind(t, d.Drain(t.Context())))
		assert.Equal(t, 11*time.Second, time.Since(began), "the time is up for good")
		assert.Equal(t, int64(1), d.Stats().Abandoned)
		close(hold)
	})
}

func TestB4_only_running_tasks_submit_while_it_drains(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Timeout: time.Minute}, func(t *testing.T, d drainee) {
		var outlived context.Context
		run(t, d, "short", func(ctx context.Context) error { outlived = ctx; return nil })
		synctest.Wait()
		var ran atomic.Int64
		count := func(context.Context) error { ran.Add(1); return nil }
		assert.NoError(t, d.Run(outlived, "before the drain", count))

		run(t, d, "long", func(ctx context.Context) error {
			time.Sleep(time.Second) // the drain has begun
			derived, cancel := context.WithTimeout(context.WithValue(ctx, key("k"), 1), time.Hour)
			defer cancel()
			assert.NoError(t, d.Run(ctx, "child", count))
			assert.NoError(t, d.Run(derived, "child", count))
			assert.NoError(t, d.Run(ctx, "child", count, fxbackground.WithTimeout(time.Hour)))
			for name, foreign := range map[string]context.Context{"a stranger": t.Context(), "a task that has ended": outlived} {
				err := d.Run(foreign, "no", count)
				assert.ErrorIs(t, err, fxbackground.ErrDraining, name)
				assert.EqualError(t, err, `fxbackground: run "no": draining: no new tasks are accepted`, name)
			}
			return nil
		})
		require.NoError(t, d.Drain(t.Context()))
		assert.ErrorIs(t, d.Run(t.Context(), "no", count), fxbackground.ErrDraining)
		assert.ErrorIs(t, d.Run(outlived, "no", count), fxbackground.ErrDraining)
		assert.Equal(t, int64(4), ran.Load(), "what is not accepted never runs")
		assert.Equal(t, fxbackground.Stats{Submitted: 6, Succeeded: 6, Rejected: 4}, d.Stats())
	})
}

func TestB4_a_task_of_another_Group_or_Runner_is_a_stranger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		other, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		mine, yours := r.Group("mine"), r.Group("yours")
		run(t, mine, "keeps the drain going", sleep(3*time.Second))
		var fromYours, fromOther, intoYours, fromOtherAtEnd error
		run(t, yours, "task", func(ctx context.Context) error {
			time.Sleep(time.Second) // mine drains
			fromYours = mine.Run(ctx, "no", noop)
			time.Sleep(4 * time.Second) // the Runner drains
			intoYours = errors.Join(yours.Run(ctx, "yes", noop), r.Run(ctx, "yes", noop), r.Group("new").Run(ctx, "yes", noop))
			return nil
		})
		run(t, other, "task", func(ctx context.Context) error {
			time.Sleep(time.Second)
			fromOther = mine.Run(ctx, "no", noop)
			time.Sleep(4 * time.Second)
			fromOtherAtEnd = r.Run(ctx, "no", noop)
			return nil
		})
		require.NoError(t, mine.Drain(t.Context()))
		require.NoError(t, r.Drain(t.Context()))
		drained(t, other)
		assert.ErrorIs(t, fromYours, fxbackground.ErrDraining)
		assert.ErrorIs(t, fromOther, fxbackground.ErrDraining)
		assert.ErrorIs(t, fromOtherAtEnd, fxbackground.ErrDraining)
		assert.NoError(t, intoYours, "a task of any Group, while its Runner drains")
	})
}

func TestB5_timeout_0_cancels_at_once(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Grace: time.Minute}, func(t *testing.T, d drainee) {
		run(t, d, "listens", untilCancelled)
		began := time.Now()
		require.NoError(t, d.Drain(t.Context()))
		assert.Zero(t, time.Since(began))
	})
}

func TestB6_a_drain_runs_what_waits_or_names_it(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]func(*fxbackground.Runner) drainee{
		"the Runner's own":                 func(r *fxbackground.Runner) drainee { return r },
		"a Group's":                        func(r *fxbackground.Runner) drainee { return r.Group("g") },
		"a Group's, behind its own limit":  func(r *fxbackground.Runner) drainee { return r.Group("g", fxbackground.WithConcurrency(2)) },
		"a Group's, behind its limit only": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := fxbackground.Config{Timeout: 10 * time.Second, Grace: time.Second, Concurrency: 2}
				if d == nil {
					cfg.Concurrency = 0
					d = func(r *fxbackground.Runner) drainee { return r.Group("g", fxbackground.WithConcurrency(2)) }
				}
				r, _ := newRunner(t, cfg)
				d := d(r)
				var ran atomic.Int64
				var never []string
				for i := range 10 {
					run(t, d, fmt.Sprint(i), func(context.Context) error {
						ran.Add(1)
						time.Sleep(4 * time.Second) // two at a time: six begin within the timeout
						return nil
					}, fxbackground.OnDone(func(info fxbackground.TaskInfo, err error) {
						if err != nil {
							assert.ErrorIs(t, err, fxbackground.ErrDraining)
							assert.EqualError(t, err, fmt.Sprintf("fxbackground: task %q never ran: draining: no new tasks are accepted", info.Name))
							assert.Zero(t, info.Started)
							never = append(never, info.Name)
						}
					}))
					synctest.Wait()
				}
				err := d.Drain(t.Context())
				assert.Equal(t, []string{"4", "5", "6", "7", "8", "9"}, leftBehind(t, err), "two that run, four that never will")
				assert.Equal(t, []string{"6", "7", "8", "9"}, never)
				assert.Equal(t, err, d.Drain(t.Context()), "whoever asks again gets the same answer")
				assert.Equal(t, fxbackground.Stats{Submitted: 10, Running: 2, Succeeded: 4, Abandoned: 6}, d.Stats())
				time.Sleep(time.Minute)
				assert.Equal(t, int64(6), ran.Load())
				assert.Equal(t, []string{"6", "7", "8", "9"}, leftBehind(t, d.Drain(t.Context())))
				if d != drainee(r) {
					assert.NoError(t, r.Drain(t.Context()), "a Group's drain has reported them")
				}
			})
		})
	}
}

// B6: OnDone of a task that never ran is waited for within the grace, and no longer.
func TestB6_OnDone_of_dropped_tasks_does_not_hold_up_the_drain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Grace: time.Second, Concurrency: 1})
		hold := make(chan struct{})
		run(t, r, "runs", untilCancelled)
		run(t, r, "waits", noop, fxbackground.OnDone(func(fxbackground.TaskInfo, error) { <-hold }))
		began := time.Now()
		assert.Equal(t, []string{"waits"}, leftBehind(t, r.Drain(t.Context())))
		assert.Equal(t, time.Second, time.Since(began))
		close(hold)
	})
}

// A task that was left behind says so when it ends.
func TestB3_a_task_that_was_left_behind_is_logged_when_it_ends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newRunner(t, fxbackground.Config{})
		line := nextLine()
		require.NoError(t, r.Run(t.Context(), "deaf", sleep(time.Hour)))
		require.Error(t, r.Drain(t.Context()))
		time.Sleep(2 * time.Hour)
		require.Equal(t, 1, logs.Len())
		assert.Equal(t, "fxbackground: task that was left behind has ended", logs.All()[0].Message)
		assert.Equal(t, map[string]any{"task": "deaf", "submittedBy": line, "duration": time.Hour}, logs.All()[0].ContextMap())
	})
}
