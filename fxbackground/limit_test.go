package fxbackground_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fxkit/fxkit/fxbackground"
)

func TestB6_concurrency_bounds_the_Runner_and_its_Groups_together(t *testing.T) {
	t.Parallel()
	r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute, Concurrency: 4})
	groups := []*fxbackground.Group{r.Group("a"), r.Group("b", fxbackground.WithConcurrency(2)), r.Group("c", fxbackground.WithConcurrency(1))}
	var all, most atomic.Int64
	perGroup, mostPerGroup := make([]atomic.Int64, 3), make([]atomic.Int64, 3)
	task := func(i int) fxbackground.Task {
		return func(context.Context) error {
			raise(&most, all.Add(1))
			raise(&mostPerGroup[i], perGroup[i].Add(1))
			runtime.Gosched()
			perGroup[i].Add(-1)
			all.Add(-1)
			return nil
		}
	}
	var wg sync.WaitGroup
	for i, g := range groups {
		wg.Go(func() {
			for range 2000 {
				assert.NoError(t, g.Run(t.Context(), "task", task(i)))
			}
		})
	}
	wg.Wait()
	drained(t, r)
	assert.LessOrEqual(t, most.Load(), int64(4))
	assert.LessOrEqual(t, mostPerGroup[1].Load(), int64(2))
	assert.LessOrEqual(t, mostPerGroup[2].Load(), int64(1))
	assert.Equal(t, fxbackground.Stats{Submitted: 6000, Succeeded: 6000}, r.Stats())
}

func raise(most *atomic.Int64, to int64) {
	for {
		now := most.Load()
		if now >= to || most.CompareAndSwap(now, to) {
			return
		}
	}
}

func TestB6_a_full_queue_refuses_at_once_and_runs_nothing(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	wait := func(context.Context) error { <-hold; return nil }
	ran := false
	for _, tt := range []struct {
		name string
		r    func(*fxbackground.Runner) (first, second runs)
		cfg  fxbackground.Config
		want string
	}{
		{"of the Runner", func(r *fxbackground.Runner) (a, b runs) { return r, r }, fxbackground.Config{Concurrency: 1, Queue: 2}, `fxbackground: run "late": queue is full (2 waiting tasks)`},
		{"of the Runner, for a Group", func(r *fxbackground.Runner) (a, b runs) { return r, r.Group("g") }, fxbackground.Config{Concurrency: 1, Queue: 2}, `fxbackground: run "late": queue is full (2 waiting tasks)`},
		{"of a Group", func(r *fxbackground.Runner) (a, b runs) {
			g := r.Group("g", fxbackground.WithConcurrency(1), fxbackground.WithQueue(2))
			return g, g
		}, fxbackground.Config{}, `fxbackground: run "late": queue is full (2 waiting tasks in group "g")`},
		{"of the Runner, full of a Group's", func(r *fxbackground.Runner) (a, b runs) {
			g := r.Group("g", fxbackground.WithConcurrency(1))
			return g, g
		}, fxbackground.Config{Queue: 2}, `fxbackground: run "late": queue is full (2 waiting tasks)`},
	} {
		tt.cfg.Timeout = time.Minute
		r, _ := newRunner(t, tt.cfg)
		first, second := tt.r(r)
		for range 3 {
			run(t, first, "wait", wait)
		}
		err := second.Run(t.Context(), "late", func(context.Context) error { ran = true; return nil })
		assert.ErrorIs(t, err, fxbackground.ErrQueueFull, tt.name)
		assert.EqualError(t, err, tt.want, tt.name)
		assert.Equal(t, fxbackground.Stats{Submitted: 3, Running: 1, Queued: 2, Rejected: 1}, r.Stats(), tt.name)
		defer drained(t, r)
	}
	close(hold)
	assert.False(t, ran)
}

func TestB6_waiting_tasks_start_in_order_of_submission(t *testing.T) {
	t.Parallel()
	r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute, Concurrency: 1})
	hold := make(chan struct{})
	run(t, r, "hold", func(context.Context) error { <-hold; return nil })
	groups := []runs{r, r.Group("a"), r.Group("b"), r.Group("c", fxbackground.WithConcurrency(1))}
	var order, want []string
	for i := range 400 {
		name := fmt.Sprint(i)
		want = append(want, name)
		run(t, groups[i*7%4], name, func(context.Context) error { order = append(order, name); return nil })
	}
	close(hold)
	drained(t, r)
	assert.Equal(t, want, order)
}

// B6: a task that only its own Group holds back does not hold back others.
func TestB6_a_full_Group_lets_others_pass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute, Concurrency: 2})
		narrow := r.Group("narrow", fxbackground.WithConcurrency(1))
		var mu sync.Mutex
		var order []string
		task := func(name string) fxbackground.Task {
			return func(context.Context) error {
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				time.Sleep(time.Second)
				return nil
			}
		}
		for _, name := range []string{"n1", "n2", "n3"} {
			run(t, narrow, name, task(name))
			synctest.Wait()
		}
		for _, name := range []string{"r1", "r2", "r3"} {
			run(t, r, name, task(name))
			synctest.Wait()
		}
		assert.Equal(t, []string{"n1", "r1"}, order)
		drained(t, r)
		// Each second one of both: the earliest submitted goes first.
		assert.ElementsMatch(t, []string{"n2", "r2"}, order[2:4])
		assert.ElementsMatch(t, []string{"n3", "r3"}, order[4:6])
	})
}

// B6: a Group's limit holds in a Runner that has none.
func TestB6_a_limited_Group_in_an_unlimited_Runner(t *testing.T) {
	t.Parallel()
	r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
	g := r.Group("g", fxbackground.WithConcurrency(1))
	hold := make(chan struct{})
	var order []int
	run(t, g, "hold", func(context.Context) error { <-hold; return nil })
	for i := range 100 {
		run(t, g, "task", func(context.Context) error { order = append(order, i); return nil })
	}
	assert.Equal(t, fxbackground.Stats{Submitted: 101, Running: 1, Queued: 100}, g.Stats())
	close(hold)
	drained(t, g)
	assert.IsIncreasing(t, order)
	assert.Len(t, order, 100)
	drained(t, r)
}

// OnDone is called once for each task that was accepted, whatever other OnDone functions do.
func TestOnDone_that_ends_its_goroutine_keeps_nothing_from_the_others(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Grace: time.Minute, Concurrency: 1})
		var calls atomic.Int64
		goexit := fxbackground.OnDone(func(fxbackground.TaskInfo, error) { runtime.Goexit() })
		count := fxbackground.OnDone(func(fxbackground.TaskInfo, error) { calls.Add(1) })
		run(t, r, "runs", untilCancelled, goexit, count)
		for range 3 {
			run(t, r, "never runs", noop, goexit, count)
		}
		assert.Len(t, leftBehind(t, r.Drain(t.Context())), 3)
		assert.Equal(t, int64(4), calls.Load())
	})
}

// B6: a Group whose drain drops what waits gives way to those who wait behind it, and is done.
func TestB6_a_Group_that_drops_what_waits_holds_up_nobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute, Grace: time.Second, Concurrency: 1})
		g := r.Group("g", fxbackground.WithDrainTimeout(0))
		done := make(map[string]bool)
		task := func(name string) fxbackground.Task {
			return func(context.Context) error { time.Sleep(time.Second); done[name] = true; return nil }
		}
		run(t, r, "runs", task("runs"))
		run(t, g, "waits", task("waits"))
		run(t, r.Group("other"), "waits behind it", task("waits behind it"))
		run(t, r, "last", task("last"))
		began := time.Now()
		assert.Equal(t, []string{"waits"}, leftBehind(t, g.Drain(t.Context())))
		assert.Zero(t, time.Since(began), "no grace for what never ran")
		drained(t, r)
		assert.Equal(t, map[string]bool{"runs": true, "waits behind it": true, "last": true}, done)
	})
}
