package bench_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

// watchers is how many watch one prefix.
const watchers = 1000

// BenchmarkE11 is one put until all of a thousand watchers of its prefix, on one client, have seen it: those of package watch, which are one
// etcd watch, beside as many etcd watches. goroutines and heap-KB are what the watchers hold while idle, client and server together.
func BenchmarkE11(b *testing.B) {
	b.Run("fxkit", func(b *testing.B) {
		benchmarkWatchers(b, func(ctx context.Context, c *clientv3.Client, ready func(), seen func()) {
			for e := range watch.Prefix(ctx, c, "p/") {
				if e.Type == watch.Synced {
					ready()
				} else {
					seen()
				}
			}
		})
	})
	b.Run("raw", func(b *testing.B) {
		benchmarkWatchers(b, func(ctx context.Context, c *clientv3.Client, ready func(), seen func()) {
			events := c.Watch(ctx, "p/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
			<-events
			ready()
			for r := range events {
				for range r.Events {
					seen()
				}
			}
		})
	})
}

func benchmarkWatchers(b *testing.B, follow func(ctx context.Context, c *clientv3.Client, ready, seen func())) {
	server := etcdtest.Start(b)
	c := etcdClient(b, server.Endpoints()...)
	if _, err := c.Get(b.Context(), "p/"); err != nil {
		b.Fatal(err)
	}
	goroutines, heap := held()
	ctx, cancel := context.WithCancel(b.Context())
	var running, ready, seen sync.WaitGroup
	ready.Add(watchers)
	for range watchers {
		running.Go(func() { follow(ctx, c, ready.Done, seen.Done) })
	}
	ready.Wait()
	manyGoroutines, moreHeap := held()
	i := 0
	for b.Loop() {
		seen.Add(watchers)
		if _, err := c.Put(b.Context(), "p/k", fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
		seen.Wait()
		i++
	}
	b.ReportMetric(float64(manyGoroutines-goroutines), "goroutines")
	b.ReportMetric(float64(moreHeap-heap)/1024, "heap-KB")
	cancel()
	running.Wait()
}

func held() (goroutines int, heap int64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), int64(m.HeapAlloc)
}
