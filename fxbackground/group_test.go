package fxbackground_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxbackground"
)

func TestGroup_drains_alone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Hour})
		request, other := r.Group("request"), r.Group("other")
		run(t, request, "task", sleep(time.Second))
		run(t, other, "task", sleep(time.Minute))
		run(t, r, "task", sleep(time.Minute))
		began := time.Now()
		drained(t, request)
		assert.Equal(t, time.Second, time.Since(began))
		assert.ErrorIs(t, request.Run(t.Context(), "late", noop), fxbackground.ErrDraining)
		assert.NoError(t, other.Run(t.Context(), "in time", noop))
		drained(t, r)
		assert.Equal(t, time.Minute, time.Since(began))
		assert.ErrorIs(t, other.Run(t.Context(), "late", noop), fxbackground.ErrDraining, "drained with its Runner at the latest")
		assert.ErrorIs(t, r.Group("new").Run(t.Context(), "late", noop), fxbackground.ErrDraining)
		drained(t, other)
	})
}

func TestGroup_cancels_its_own_tasks_only(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: time.Hour, Grace: time.Second})
		g := r.Group("g", fxbackground.WithDrainTimeout(2*time.Second))
		var others error
		run(t, r, "other", func(ctx context.Context) error {
			time.Sleep(time.Minute)
			others = ctx.Err()
			return nil
		})
		run(t, g, "late", untilCancelled)
		began := time.Now()
		drained(t, g)
		assert.Equal(t, 2*time.Second, time.Since(began))
		drained(t, r)
		assert.NoError(t, others)
	})
}

func TestGroup_timeouts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		group func(*fxbackground.Runner) *fxbackground.Group
		want  time.Duration
	}{
		{"its Runner's", func(r *fxbackground.Runner) *fxbackground.Group { return r.Group("g") }, 10 * time.Second},
		{"its own", func(r *fxbackground.Runner) *fxbackground.Group {
			return r.Group("g", fxbackground.WithDrainTimeout(time.Second))
		}, time.Second},
		{"set later", func(r *fxbackground.Runner) *fxbackground.Group {
			g := r.Group("g", fxbackground.WithDrainTimeout(time.Second))
			g.SetTimeout(time.Minute)
			return g
		}, time.Minute},
		{"infinite", func(r *fxbackground.Runner) *fxbackground.Group {
			return r.Group("g", fxbackground.WithDrainTimeout(fxbackground.Infinite))
		}, 99 * time.Hour},
		{"negative is none", func(r *fxbackground.Runner) *fxbackground.Group {
			return r.Group("g", fxbackground.WithDrainTimeout(-time.Second))
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, _ := newRunner(t, fxbackground.Config{Timeout: 10 * time.Second, Grace: time.Hour})
				g := tt.group(r)
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
				defer cancel()
				run(t, g, "late", untilCancelled)
				began := time.Now()
				require.NoError(t, g.Drain(ctx))
				assert.Equal(t, tt.want, time.Since(began))
				drained(t, r)
			})
		})
	}
}

// B6: nonsense in a Group's limits is no limit.
func TestGroup_limits_below_zero_are_none(t *testing.T) {
	t.Parallel()
	r, _ := newRunner(t, fxbackground.Config{Timeout: time.Minute})
	g := r.Group("g", fxbackground.WithConcurrency(-1), fxbackground.WithQueue(-1))
	all := make(chan struct{}, 10)
	for range 10 {
		run(t, g, "task", func(context.Context) error {
			all <- struct{}{}
			for len(all) < cap(all) {
				runtime.Gosched() // all ten run at once, or none ends
			}
			return nil
		})
	}
	drained(t, g)
	drained(t, r)
}

func TestGroup_that_its_Runner_cuts_off_names_what_it_lost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.Config{Timeout: 2 * time.Second, Grace: time.Second})
		g := r.Group("g", fxbackground.WithConcurrency(1), fxbackground.WithDrainTimeout(fxbackground.Infinite))
		run(t, g, "runs", untilCancelled)
		run(t, g, "waits", noop)
		result := make(chan error)
		go func() { result <- g.Drain(t.Context()) }()
		assert.Equal(t, []string{"waits"}, leftBehind(t, r.Drain(t.Context())))
		assert.Equal(t, []string{"waits"}, leftBehind(t, <-result))
		assert.Equal(t, fxbackground.Stats{Submitted: 2, Failed: 1, Abandoned: 1}, g.Stats())
		assert.Equal(t, g.Stats(), r.Stats())
	})
}

// Not parallel: it measures the heap. A drained Group is forgotten by its Runner, one that is never used was never known.
func TestGroup_is_garbage_once_drained(t *testing.T) {
	for name, cfg := range limits {
		t.Run(name, func(t *testing.T) {
			r, _ := newRunner(t, cfg)
			use := func(n int) {
				for range n {
					r.Group("never used")
					g := r.Group("request", fxbackground.WithConcurrency(1))
					for range 3 {
						run(t, g, "task", noop)
					}
					drained(t, g)
				}
			}
			use(100)
			before := heap()
			use(10_000)
			assert.Less(t, heap()-before, int64(500_000), "10,000 groups of 300 bytes or more would be seen")
			drained(t, r)
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
