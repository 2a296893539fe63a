package fxbackground_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"

	"github.com/fxkit/fxkit/fxbackground"
)

// every is a policy that waits d before each try.
func every(d time.Duration) func() backoff.BackOff {
	return func() backoff.BackOff { return backoff.NewConstantBackOff(d) }
}

// outcome is what OnDone hears of a task that is run to its end.
func outcome(t *testing.T, r *fxbackground.Runner, task fxbackground.Task, opts ...fxbackground.TaskOption) error {
	t.Helper()
	done := make(chan error, 1)
	run(t, r, "task", task, append(opts, fxbackground.OnDone(func(_ fxbackground.TaskInfo, err error) { done <- err }))...)
	return <-done
}

func TestB9_a_task_is_tried_again_until_it_succeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newRunner(t, fxbackground.DefaultConfig())
		began, tries := time.Now(), 0
		err := outcome(t, r, func(context.Context) error {
			if tries++; tries < 4 {
				return errBoom
			}
			return nil
		}, fxbackground.WithRetry(every(time.Minute), 10))
		require.NoError(t, err)
		assert.Equal(t, 3*time.Minute, time.Since(began))
		drained(t, r)
		assert.Equal(t, fxbackground.Stats{Submitted: 1, Succeeded: 1}, r.Stats())
		for _, entry := range logs.All() {
			assert.Equal(t, zapcore.DebugLevel, entry.Level, "a try that fails is no failure yet")
		}
		assert.Equal(t, 3, logs.Len())
	})
}

func TestB9_maxTries_is_the_only_bound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newRunner(t, fxbackground.DefaultConfig())
		began, tries := time.Now(), 0
		err := outcome(t, r, func(context.Context) error { tries++; return errBoom }, fxbackground.WithRetry(every(time.Hour), 50))
		assert.Equal(t, errBoom, err)
		assert.Equal(t, 50, tries)
		assert.Equal(t, 49*time.Hour, time.Since(began), "no bound on the time")
		assert.Len(t, logs.FilterMessage("fxbackground: task failed").All(), 1)

		tries = 0
		assert.NoError(t, outcome(t, r, func(context.Context) error {
			if tries++; tries < 1000 {
				return errBoom
			}
			return nil
		}, fxbackground.WithRetry(every(time.Minute), 0)), "0 is no bound")
		drained(t, r)
	})
}

func TestB9_the_policy_is_made_for_each_task_and_has_the_last_word(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.DefaultConfig())
		made, tries := 0, 0
		count := func(err error) fxbackground.Task { return func(context.Context) error { tries++; return err } }
		stop := fxbackground.WithRetry(func() backoff.BackOff { made++; return &backoff.StopBackOff{} }, 5)
		assert.Equal(t, errBoom, outcome(t, r, count(errBoom), stop))
		assert.Equal(t, errBoom, outcome(t, r, count(errBoom), stop))
		assert.Equal(t, []int{2, 2}, []int{made, tries})

		tries = 0
		assert.Equal(t, errBoom, outcome(t, r, count(backoff.Permanent(errBoom)), fxbackground.WithRetry(every(0), 5)))
		assert.Equal(t, 1, tries, "backoff.Permanent")

		began := time.Now()
		assert.Error(t, outcome(t, r, count(backoff.RetryAfter(7)), fxbackground.WithRetry(every(time.Hour), 2)))
		assert.Equal(t, 7*time.Second, time.Since(began), "backoff.RetryAfter")

		err := outcome(t, r, noop, fxbackground.WithRetry(func() backoff.BackOff { return nil }, 5))
		assert.EqualError(t, err, "fxbackground: WithRetry: the policy function returned nil")
		drained(t, r)
	})
}

func TestB9_panics_are_tried_again_and_Goexit_is_not(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.DefaultConfig())
		tries := 0
		var panicked *fxbackground.PanicError
		assert.ErrorAs(t, outcome(t, r, func(context.Context) error { tries++; panic("again") }, fxbackground.WithRetry(every(0), 3)), &panicked)
		assert.Equal(t, 3, tries)
		tries = 0
		assert.Error(t, outcome(t, r, func(context.Context) error { tries++; runtime.Goexit(); return nil }, fxbackground.WithRetry(every(0), 3)))
		assert.Equal(t, 1, tries)
		drained(t, r)
		assert.Equal(t, fxbackground.Stats{Submitted: 2, Panicked: 1, Failed: 1}, r.Stats())
	})
}

func TestB9_a_drain_that_runs_out_of_time_ends_the_waiting(t *testing.T) {
	eachDrainee(t, fxbackground.Config{Timeout: 10 * time.Second, Grace: time.Second}, func(t *testing.T, d drainee) {
		var got error
		run(t, d, "task", func(context.Context) error { return errBoom }, fxbackground.WithRetry(every(4*time.Second), 1000),
			fxbackground.OnDone(func(_ fxbackground.TaskInfo, err error) { got = err }))
		began := time.Now()
		require.NoError(t, d.Drain(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(began))
		assert.ErrorIs(t, got, errBoom, "what it failed with is not lost")
		assert.EqualError(t, got, "boom (fxbackground: the drain ran out of time)")
		assert.Equal(t, fxbackground.Stats{Submitted: 1, Failed: 1}, d.Stats())
	})
}

func TestB9_a_task_that_waits_for_its_next_try_keeps_its_place(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute, Concurrency: 1})
		run(t, r, "first", func(context.Context) error { return errBoom }, fxbackground.WithRetry(every(time.Second), 3))
		run(t, r, "second", noop)
		time.Sleep(1500 * time.Millisecond)
		assert.Equal(t, []string{"first"}, names(r.Running()))
		drained(t, r)
	})
}

func TestWithTimeout_is_of_one_try(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.DefaultConfig())
		began, tries := time.Now(), 0
		err := outcome(t, r, func(ctx context.Context) error {
			tries++
			<-ctx.Done()
			return ctx.Err()
		}, fxbackground.WithTimeout(2*time.Second), fxbackground.WithRetry(every(time.Second), 3))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3, tries)
		assert.Equal(t, 8*time.Second, time.Since(began), "three tries, two waits")
		drained(t, r)
	})
}

func TestWithTimeout_does_not_outlast_the_drain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Second, Grace: time.Second})
		var cause error
		run(t, r, "task", func(ctx context.Context) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		}, fxbackground.WithTimeout(time.Hour))
		drained(t, r)
		assert.EqualError(t, cause, "fxbackground: the drain ran out of time")
		assert.False(t, errors.Is(cause, context.DeadlineExceeded))
	})
}
