package bench_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"
	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/errgroup"

	"github.com/fxkit/fxkit/fxbackground"
)

// A taskPool runs task: submit once more, wait until all have ended.
type taskPool struct {
	name  string
	limit func(int) bool // the limits that it knows
	make  func(b *testing.B, limit int, task func()) (submit, wait func())
}

func anyLimit(int) bool        { return true }
func unlimited(limit int) bool { return limit == 0 }

var taskPools = []taskPool{
	{"fxbackground", anyLimit, func(b *testing.B, limit int, task func()) (func(), func()) {
		r := newBenchRunner(b, limit)
		ctx, run := context.Background(), func(context.Context) error { task(); return nil }
		return func() { _ = r.Run(ctx, "task", run) }, func() {
			if err := r.Drain(ctx); err != nil {
				b.Fatal(err)
			}
			if s := r.Stats(); s.Succeeded != s.Submitted {
				b.Fatalf("lost tasks: %+v", s)
			}
		}
	}},
	{"fxbackground.Group", anyLimit, func(b *testing.B, limit int, task func()) (func(), func()) {
		g := newBenchRunner(b, limit).Group("group")
		ctx, run := context.Background(), func(context.Context) error { task(); return nil }
		return func() { _ = g.Run(ctx, "task", run) }, func() {
			if err := g.Drain(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}},
	{"WaitGroup.Go", unlimited, func(_ *testing.B, _ int, task func()) (func(), func()) {
		var wg sync.WaitGroup
		return func() { wg.Go(task) }, wg.Wait
	}},
	{"errgroup", anyLimit, func(_ *testing.B, limit int, task func()) (func(), func()) {
		var g errgroup.Group
		if limit > 0 {
			g.SetLimit(limit)
		}
		run := func() error { task(); return nil }
		return func() { g.Go(run) }, func() { _ = g.Wait() }
	}},
	{"conc pool", anyLimit, func(_ *testing.B, limit int, task func()) (func(), func()) {
		p := pool.New()
		if limit > 0 {
			p = p.WithMaxGoroutines(limit)
		}
		return func() { p.Go(task) }, p.Wait
	}},
	{"ants", anyLimit, func(b *testing.B, limit int, task func()) (func(), func()) {
		if limit == 0 {
			limit = -1
		}
		p, err := ants.NewPool(limit)
		if err != nil {
			b.Fatal(err)
		}
		// ants has no way to wait for its tasks.
		var wg sync.WaitGroup
		run := func() { task(); wg.Done() }
		return func() { wg.Add(1); _ = p.Submit(run) }, func() { wg.Wait(); p.Release() }
	}},
	{"pond Submit", anyLimit, func(_ *testing.B, limit int, task func()) (func(), func()) {
		p := pond.NewPool(limit)
		return func() { p.Submit(task) }, p.StopAndWait
	}},
	{"pond Go", anyLimit, func(_ *testing.B, limit int, task func()) (func(), func()) {
		p := pond.NewPool(limit)
		return func() { _ = p.Go(task) }, p.StopAndWait
	}},
}

func newBenchRunner(b *testing.B, limit int) *fxbackground.Runner {
	r, err := fxbackground.New(fxbackground.Config{Timeout: fxbackground.Infinite, Concurrency: limit})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// B11: tasks that do nothing, from the first submit to the end of the drain.
// Run with -benchtime 1000000x -count 5, and compare medians.
func BenchmarkBackground(b *testing.B) {
	for _, limit := range []int{0, 64} {
		for _, producers := range []int{1, 2} {
			for _, p := range taskPools {
				if !p.limit(limit) {
					continue
				}
				b.Run(fmt.Sprintf("limit=%d/producers=%d/%s", limit, producers, p.name), func(b *testing.B) {
					b.ReportAllocs()
					submit, wait := p.make(b, limit, func() {})
					b.ResetTimer()
					var wg sync.WaitGroup
					for i := range producers {
						n := b.N / producers
						if i == 0 {
							n += b.N % producers
						}
						wg.Go(func() {
							for range n {
								submit()
							}
						})
					}
					wg.Wait()
					wait()
				})
			}
		}
	}
}

// B11: the memory of tasks that wait for a place. The other pools have no queue: their submit blocks.
func BenchmarkBackgroundWaiting(b *testing.B) {
	const waiting = 100_000
	for _, p := range taskPools {
		switch p.name {
		case "WaitGroup.Go", "errgroup", "conc pool", "ants":
			continue
		}
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				hold := make(chan struct{})
				submit, wait := p.make(b, 1, func() { <-hold })
				submit() // takes the only place
				before := heapInUse()
				for range waiting {
					submit()
				}
				b.ReportMetric(float64(heapInUse()-before)/waiting, "B/task")
				close(hold)
				wait()
			}
		})
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// B11: a Group that is made and never used, and one as a request uses it.
func BenchmarkBackgroundGroup(b *testing.B) {
	r := newBenchRunner(b, 0)
	b.Run("never used", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			unusedGroup = r.Group("request")
		}
	})
	b.Run("one task and drained", func(b *testing.B) {
		b.ReportAllocs()
		ctx, task := context.Background(), func(context.Context) error { return nil }
		for b.Loop() {
			g := r.Group("request")
			if err := errors.Join(g.Run(ctx, "task", task), g.Drain(ctx)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

var unusedGroup *fxbackground.Group
