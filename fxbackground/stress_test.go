package fxbackground_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxbackground"
)

// B3 and B4 in real time, with a drain in the middle of everything: what was accepted has run when the drain is over,
// what was refused has not, and a task whose drain waits for it is never refused.
func TestB4_a_drain_in_the_middle_of_many_producers(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]fxbackground.Config{
		"without limits": {Timeout: time.Minute},
		"with limits":    {Timeout: time.Minute, Concurrency: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 5 {
				r, _ := newRunner(t, cfg)
				into := []runs{r, r.Group("a"), r.Group("b"), r.Group("c", fxbackground.WithConcurrency(2))}
				var accepted, ran, running, refusedChildren atomic.Int64
				var task func(depth, i int) fxbackground.Task
				task = func(depth, i int) fxbackground.Task {
					return func(ctx context.Context) error {
						running.Add(1)
						defer running.Add(-1)
						ran.Add(1)
						if depth == 0 {
							return nil
						}
						// Into any other Group: their shards' locks are taken in every order.
						if err := into[(i+depth)%4].Run(ctx, "child", task(depth-1, i+1)); err != nil {
							refusedChildren.Add(1)
							return err
						}
						accepted.Add(1)
						return nil
					}
				}
				var wg sync.WaitGroup
				for p := range 4 {
					wg.Go(func() {
						for i := p; ; i++ {
							err := into[i%4].Run(t.Context(), "task", task(3, i))
							if errors.Is(err, fxbackground.ErrDraining) {
								return
							}
							assert.NoError(t, err)
							accepted.Add(1)
							runtime.Gosched() // or the queue outgrows the drain
						}
					})
				}
				for ran.Load() < 200 {
					runtime.Gosched()
				}
				require.NoError(t, r.Drain(t.Context()))
				assert.Zero(t, running.Load(), "a drain that returns nil has left nothing running")
				wg.Wait()
				assert.Equal(t, accepted.Load(), ran.Load())
				assert.Zero(t, refusedChildren.Load())
				s := r.Stats()
				assert.Equal(t, s.Submitted, s.Succeeded)
				assert.Equal(t, accepted.Load(), s.Submitted)
				assert.Equal(t, int64(4), s.Rejected)
			}
		})
	}
}

// B4: two tasks submit into each other's Groups while the Runner drains, each under the locks of both.
func TestB4_Groups_submit_into_each_other_while_the_Runner_drains(t *testing.T) {
	t.Parallel()
	for range 3 { // a Group's shard is drawn by lot, and may be the other's
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		groups := []*fxbackground.Group{r.Group("a"), r.Group("b")}
		running, draining := make(chan struct{}), make(chan struct{})
		for i, g := range groups {
			run(t, g, "task", func(ctx context.Context) error {
				<-draining
				for range 5000 {
					if err := groups[1-i].Run(ctx, "child", noop); err != nil {
						return err
					}
				}
				return nil
			})
		}
		require.NoError(t, r.Supervise("opens when the drain has begun", func(ctx context.Context) error {
			close(running)
			<-ctx.Done()
			close(draining)
			return nil
		}))
		<-running
		drained(t, r)
		assert.Equal(t, fxbackground.Stats{Submitted: 10_002, Succeeded: 10_002}, r.Stats())
	}
}

// B4: whoever holds a task's context submits with it while the task ends, and with it the drain: each is either waited for
// or refused.
func TestB4_submissions_race_with_the_end_of_the_drain(t *testing.T) {
	t.Parallel()
	for range 300 {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
		groups := []runs{r, r.Group("a"), r.Group("b")}
		var accepted, ran atomic.Int64
		var wg sync.WaitGroup
		run(t, groups[1], "task", func(ctx context.Context) error {
			for _, g := range groups {
				wg.Go(func() {
					for g.Run(ctx, "child", func(context.Context) error { ran.Add(1); return nil }) == nil {
						accepted.Add(1)
					}
				})
			}
			return nil
		})
		drained(t, r)
		done := ran.Load()
		wg.Wait()
		require.Equal(t, accepted.Load(), done, "what was accepted has run when the drain is over")
		require.Equal(t, accepted.Load(), ran.Load())
	}
}

// Not parallel: it counts allocations. B11.
func TestB11_a_task_costs_at_most_three_allocations(t *testing.T) {
	for name, cfg := range limits {
		t.Run(name, func(t *testing.T) {
			r, _ := newRunner(t, cfg)
			g := r.Group("g")
			ctx := context.WithValue(t.Context(), key("k"), 1)
			done := make(chan struct{}, 1)
			task := func(context.Context) error { done <- struct{}{}; return nil }
			for name, in := range map[string]runs{"Runner": r, "Group": g} {
				got := testing.AllocsPerRun(1000, func() {
					if in.Run(ctx, "task", task) != nil {
						t.Fatal("refused")
					}
					<-done
				})
				assert.LessOrEqual(t, got, 3.0, name)
			}
			drained(t, r)
		})
	}
}

// Not parallel: it measures the heap. B11.
func TestB11_a_waiting_task_costs_at_most_256_bytes(t *testing.T) {
	r, _ := newRunner(t, fxbackground.Config{Concurrency: 1, Grace: time.Minute})
	run(t, r, "hold", untilCancelled)
	const n = 100_000
	before := heap()
	for range n {
		run(t, r, "waits", noop)
	}
	got := (heap() - before) / n
	assert.LessOrEqual(t, got, int64(256))
	t.Logf("%d bytes", got)
	assert.Equal(t, n, len(leftBehind(t, r.Drain(context.Background()))))
}
