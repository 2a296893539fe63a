package bench_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/alitto/pond/v2"
	"github.com/fxkit/fxkit/fxbackground"
	"github.com/panjf2000/ants/v2"
	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/errgroup"
)

// backgroundContender runs tasks that do nothing: submit takes one, and wait returns when all have ended.
type backgroundContender struct {
	name string
	make func(b *testing.B, limit int) (submit, wait func())
}

var backgroundContenders = []backgroundContender{
	{"fxbackground", func(b *testing.B, limit int) (func(), func()) {
		r, err := fxbackground.New(fxbackground.Config{Timeout: fxbackground.Infinite, Concurrency: limit})
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		return func() { _ = r.Run(ctx, "noop", noopTask) }, func() {
			if err := r.Drain(ctx); err != nil {
				b.Fatal(err)
			}
			if s := r.Stats(); s.Succeeded != s.Submitted {
				b.Fatalf("lost tasks: %+v", s)
			}
		}
	}},
	{"fxbackground.Group", func(b *testing.B, limit int) (func(), func()) {
		r, err := fxbackground.New(fxbackground.Config{Timeout: fxbackground.Infinite, Concurrency: limit})
		if err != nil {
			b.Fatal(err)
		}
		g := r.Group("bench")
		ctx := context.Background()
		return func() { _ = g.Run(ctx, "noop", noopTask) }, func() {
			if err := g.Drain(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}},
	{"WaitGroup.Go", func(b *testing.B, limit int) (func(), func()) {
		if limit > 0 {
			return nil, nil
		}
		var wg sync.WaitGroup
		return func() { wg.Go(noop) }, wg.Wait
	}},
	{"errgroup", func(b *testing.B, limit int) (func(), func()) {
		var g errgroup.Group
		if limit > 0 {
			g.SetLimit(limit)
		}
		return func() { g.Go(noopErr) }, func() { _ = g.Wait() }
	}},
	{"conc/pool", func(b *testing.B, limit int) (func(), func()) {
		p := pool.New()
		if limit > 0 {
			p = p.WithMaxGoroutines(limit)
		}
		return func() { p.Go(noop) }, p.Wait
	}},
	{"ants", func(b *testing.B, limit int) (func(), func()) {
		if limit == 0 {
			limit = -1
		}
		p, err := ants.NewPool(limit)
		if err != nil {
			b.Fatal(err)
		}
		// ants itself has no way to wait for its tasks.
		var wg sync.WaitGroup
		task := func() { wg.Done() }
		return func() { wg.Add(1); _ = p.Submit(task) }, func() { wg.Wait(); p.Release() }
	}},
	{"pond.Submit", func(b *testing.B, limit int) (func(), func()) {
		p := pond.NewPool(limit)
		return func() { p.Submit(noop) }, p.StopAndWait
	}},
	{"pond.Go", func(b *testing.B, limit int) (func(), func()) {
		p := pond.NewPool(limit)
		return func() { _ = p.Go(noop) }, p.StopAndWait
	}},
}

func noop()                          {}
func noopErr() error                 { return nil }
func noopTask(context.Context) error { return nil }

// B11: submit to end of drain. Run with -benchtime 1000000x -count 5.
func BenchmarkBackground(b *testing.B) {
	for _, limit := range []int{0, 64} {
		for _, producers := range []int{1, 2} {
			for _, c := range backgroundContenders {
				if submit, _ := c.make(b, limit); submit == nil {
					continue
				}
				b.Run(fmt.Sprintf("limit=%d/producers=%d/%s", limit, producers, c.name), func(b *testing.B) {
					b.ReportAllocs()
					submit, wait := c.make(b, limit)
					b.ResetTimer()
					var wg sync.WaitGroup
					for p := range producers {
						n := b.N / producers
						if p == 0 {
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
