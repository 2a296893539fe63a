package fxbackground_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fxkit/fxkit/fxbackground"
)

type key string

// limits are the ways in which a Runner keeps its tasks: spread over shards, and behind one lock.
var limits = map[string]fxbackground.Config{
	"without limits": {Timeout: time.Minute, Grace: time.Second},
	"with limits":    {Timeout: time.Minute, Grace: time.Second, Concurrency: 3, Queue: 1000},
}

func TestB1_Run_returns_at_once_and_the_task_outlives_the_call(t *testing.T) {
	t.Parallel()
	for name, cfg := range limits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := newRunner(t, cfg)
			ctx, cancel := context.WithTimeoutCause(context.WithValue(t.Context(), key("trace"), "17"), time.Hour, errBoom)
			asked, ended := make(chan struct{}), make(chan error)
			require.NoError(t, r.Run(ctx, "audit", func(ctx context.Context) error {
				<-asked
				_, deadline := ctx.Deadline()
				ended <- errors.Join(
					expect(ctx.Value(key("trace")) == "17", "the values of the request"),
					expect(!deadline, "no deadline"),
					expect(ctx.Err() == nil && context.Cause(ctx) == nil, "no cancellation, nor its cause"),
				)
				return nil
			}))
			cancel() // the request ends while its task runs
			close(asked)
			require.NoError(t, <-ended)
			drained(t, r)
		})
	}
}

func expect(ok bool, what string) error {
	if ok {
		return nil
	}
	return errors.New("not so: " + what)
}

// B1: a request that has ended already may leave a task behind too.
func TestB1_a_cancelled_request_may_still_submit(t *testing.T) {
	t.Parallel()
	r, _ := newRunner(t, fxbackground.DefaultConfig())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var seen error
	require.NoError(t, r.Run(ctx, "audit", func(ctx context.Context) error {
		seen = ctx.Err()
		return nil
	}))
	drained(t, r)
	assert.NoError(t, seen)
}

// B1: contexts derived from a task's are cancelled by the drain, with its cause.
func TestB1_derived_contexts_are_cancelled_by_the_drain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Second, Grace: time.Second})
		request, cancel := context.WithCancelCause(t.Context())
		cancel(errBoom)
		var direct, derived, caused error
		require.NoError(t, r.Run(request, "task", func(ctx context.Context) error {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			other, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			<-child.Done()
			<-other.Done()
			direct, derived, caused = context.Cause(ctx), other.Err(), context.Cause(other)
			return nil
		}))
		drained(t, r)
		assert.EqualError(t, direct, "fxbackground: the drain ran out of time")
		assert.ErrorIs(t, derived, context.Canceled)
		assert.Equal(t, direct, caused)
	})
}

// Not parallel: it counts goroutines. B1.
func TestB1_derived_contexts_cost_no_goroutine(t *testing.T) {
	r, _ := newRunner(t, fxbackground.DefaultConfig())
	var grown int
	run(t, r, "task", func(ctx context.Context) error {
		before := runtime.NumGoroutine()
		for range 100 {
			_, cancel := context.WithCancel(ctx)
			defer cancel()
		}
		grown = runtime.NumGoroutine() - before
		return nil
	})
	drained(t, r)
	assert.Less(t, grown, 50)
}

func TestB2_an_error_is_logged_and_counted_and_goes_no_further(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newRunner(t, fxbackground.DefaultConfig())
		g := r.Group("orders")
		line := nextLine()
		err := g.Run(t.Context(), "audit", func(context.Context) error { time.Sleep(3 * time.Second); return errBoom })
		require.NoError(t, err)
		run(t, r, "fine", noop)
		drained(t, r)

		require.Equal(t, 1, logs.Len())
		entry := logs.All()[0]
		assert.Equal(t, zapcore.ErrorLevel, entry.Level)
		assert.Equal(t, "fxbackground: task failed", entry.Message)
		assert.Equal(t, map[string]any{
			"task": "audit", "group": "orders", "submittedBy": line, "duration": 3 * time.Second, "error": "boom",
		}, entry.ContextMap())
		assert.Equal(t, fxbackground.Stats{Submitted: 2, Succeeded: 1, Failed: 1}, r.Stats())
		assert.Equal(t, fxbackground.Stats{Submitted: 1, Failed: 1}, g.Stats())
	})
}

func TestB2_a_panic_is_an_error_with_its_stack(t *testing.T) {
	t.Parallel()
	for name, cfg := range limits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, logs := newRunner(t, cfg)
			var got error
			run(t, r, "bad", explode, fxbackground.OnDone(func(_ fxbackground.TaskInfo, err error) { got = err }))
			run(t, r, "worse", func(context.Context) error { panic(nil) })
			drained(t, r)

			var panicked *fxbackground.PanicError
			require.ErrorAs(t, got, &panicked)
			assert.Equal(t, errBoom, panicked.Value)
			assert.ErrorIs(t, got, errBoom)
			assert.Contains(t, string(panicked.Stack), "explode")
			assert.Equal(t, fxbackground.Stats{Submitted: 2, Panicked: 2}, r.Stats())
			logged := logs.FilterField(zap.String("task", "bad")).All()
			require.Len(t, logged, 1)
			assert.Contains(t, logged[0].ContextMap()["error"], "explode")
		})
	}
}

func explode(context.Context) error { panic(errBoom) }

func TestB2_Goexit_is_a_failure_and_hands_its_place_on(t *testing.T) {
	t.Parallel()
	r, logs := newRunner(t, fxbackground.Config{Timeout: time.Minute, Concurrency: 1})
	hold := make(chan struct{})
	run(t, r, "first", func(context.Context) error { <-hold; runtime.Goexit(); return nil })
	run(t, r, "second", noop, fxbackground.OnDone(func(fxbackground.TaskInfo, error) { runtime.Goexit() }))
	run(t, r, "third", noop, fxbackground.OnDone(func(fxbackground.TaskInfo, error) { panic("in OnDone") }))
	run(t, r, "fourth", noop)
	close(hold)
	drained(t, r)
	assert.Equal(t, fxbackground.Stats{Submitted: 4, Succeeded: 3, Failed: 1}, r.Stats())
	require.Len(t, logs.All(), 2)
	assert.Contains(t, logs.All()[0].ContextMap()["error"], "runtime.Goexit")
	assert.Equal(t, "fxbackground: OnDone panicked", logs.All()[1].Message)
}

// B2: what a task says of its failure is said before the drain goes on to close the log.
func TestB2_a_drain_waits_for_the_log_and_for_OnDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		var done atomic.Bool
		run(t, r, "task", noop, fxbackground.OnDone(func(fxbackground.TaskInfo, error) {
			time.Sleep(time.Second)
			done.Store(true)
		}))
		drained(t, r)
		assert.True(t, done.Load())
	})
}

func TestOnDone_hears_once_of_each_task_with_what_it_is(t *testing.T) {
	t.Parallel()
	r, _ := newRunner(t, fxbackground.DefaultConfig())
	began := time.Now()
	type call struct {
		info fxbackground.TaskInfo
		err  error
	}
	calls := make(chan call, 4)
	report := fxbackground.OnDone(func(info fxbackground.TaskInfo, err error) { calls <- call{info, err} })
	line := nextLine()
	err := r.Group("orders").Run(t.Context(), "audit", func(context.Context) error { return errBoom }, report, report)
	require.NoError(t, err)
	drained(t, r)
	require.Len(t, calls, 2, "one for each OnDone")
	got := <-calls
	assert.ErrorIs(t, got.err, errBoom)
	assert.Equal(t, "audit", got.info.Name)
	assert.Equal(t, "orders", got.info.Group)
	assert.Equal(t, line, got.info.Caller)
	assert.WithinRange(t, got.info.Started, began.Add(-time.Millisecond), time.Now())
}

func TestRun_refuses_what_it_cannot_run(t *testing.T) {
	t.Parallel()
	r, _ := newRunner(t, fxbackground.DefaultConfig())
	var none context.Context
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"no task", r.Run(t.Context(), "x", nil), `fxbackground: run "x": the task and its context must not be nil`},
		{"no context", r.Run(none, "x", noop), `fxbackground: run "x": the task and its context must not be nil`},
		{"no policy", r.Run(t.Context(), "x", noop, fxbackground.WithRetry(nil, 3)), `fxbackground: run "x": WithRetry: the policy is nil`},
		{
			"two things", r.Run(t.Context(), "x", noop, fxbackground.WithTimeout(-time.Second), fxbackground.OnDone(nil)),
			"fxbackground: run \"x\": WithTimeout: -1s is not a positive duration\nOnDone: the function is nil",
		},
	} {
		assert.EqualError(t, tt.err, tt.want, tt.name)
	}
	assert.Zero(t, r.Stats())
	drained(t, r)
}

func TestRunning_lists_tasks_in_the_order_of_their_start(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute, Concurrency: 2})
		g := r.Group("g")
		run(t, r, "first", sleep(3*time.Second))
		time.Sleep(time.Second)
		run(t, g, "second", sleep(5*time.Second))
		run(t, g, "waits", noop)
		at := time.Now()

		infos := r.Running()
		require.Len(t, infos, 2)
		assert.Equal(t, []string{"first", "second"}, []string{infos[0].Name, infos[1].Name})
		assert.Equal(t, at, infos[1].Started)
		assert.Equal(t, at.Add(-time.Second), infos[0].Started)
		assert.Equal(t, infos[1:], g.Running())
		assert.Equal(t, fxbackground.Stats{Submitted: 3, Running: 2, Queued: 1}, r.Stats())
		drained(t, r)
		assert.Empty(t, r.Running())
		assert.Empty(t, g.Running())
	})
}

func TestNew_says_what_is_wrong_with_its_configuration(t *testing.T) {
	t.Parallel()
	_, err := fxbackground.New(fxbackground.Config{Timeout: -time.Second, Concurrency: -1, Queue: -2, Grace: -time.Minute})
	require.Error(t, err)
	for _, part := range []string{"fxbackground: new runner", "timeout", "-1s", "concurrency", "-1", "queue", "-2", "grace", "-1m0s", "must not be negative"} {
		assert.ErrorContains(t, err, part)
	}
}

// Not parallel: it measures the heap. A task that submits its successor with its own context does not stay in memory.
func TestTasks_that_succeed_each_other_leave_nothing_behind(t *testing.T) {
	for name, opts := range map[string][]fxbackground.TaskOption{"plain": nil, "with a timeout": {fxbackground.WithTimeout(time.Hour)}} {
		t.Run(name, func(t *testing.T) {
			const most = 20_000
			r, _ := newRunner(t, fxbackground.Config{Timeout: fxbackground.Infinite})
			ctx := context.WithValue(t.Context(), key("trace"), "17")
			n, grown := 0, -heap()
			var next fxbackground.Task
			next = func(ctx context.Context) error {
				if n++; n < most {
					return r.Run(ctx, "next", next, opts...)
				}
				grown += heap()
				return expect(ctx.Value(key("trace")) == "17", "the values of the first")
			}
			require.NoError(t, r.Run(ctx, "first", next, opts...))
			drained(t, r)
			assert.Equal(t, fxbackground.Stats{Submitted: most, Succeeded: most}, r.Stats())
			assert.Less(t, grown, int64(most*100), "less than a task each")
		})
	}
}
