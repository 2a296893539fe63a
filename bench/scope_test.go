package bench_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxscope"
)

// S12: a request that begins a scope, gets an object and ends the scope. Beside it the same by hand, in a scope of samber/do and in a
// fresh dig container.

// A requester prepares once, as an application does at startup, and returns what one request does.
type requester struct {
	name string
	make func(b *testing.B) (request func() error)
}

var scopeShapes = map[string][]requester{
	"chain": {
		{"fxscope", func(b *testing.B) func() error { return scopeRequest(b, scopeChain, scopeGet[*sLink1]) }},
		{"hand", func(*testing.B) func() error { return handChain }},
		{"hand+context", func(*testing.B) func() error { return handChainContext }},
		{"do", func(b *testing.B) func() error { return doRequest(b, doChain, doGet[*sLink1]) }},
		{"dig", func(b *testing.B) func() error {
			return digRequest(scopeChain, func(*sLink1) {})
		}},
	},
	"flat": {
		{"fxscope", func(b *testing.B) func() error { return scopeRequest(b, scopeFlat, scopeGet[*sFlat]) }},
		{"hand", func(*testing.B) func() error { return handFlat }},
		{"do", func(b *testing.B) func() error { return doRequest(b, doFlat, doGet[*sFlat]) }},
		{"dig", func(b *testing.B) func() error { return digRequest(scopeFlat, func(*sFlat) {}) }},
	},
	"3of20": {
		{"fxscope", func(b *testing.B) func() error {
			return scopeRequest(b, scopeTwenty, scopeGet[*sObject[n3]], scopeGet[*sObject[n9]], scopeGet[*sObject[n17]])
		}},
		{"hand", func(*testing.B) func() error { return handThree }},
		{"do", func(b *testing.B) func() error {
			return doRequest(b, doTwenty, doGet[*sObject[n3]], doGet[*sObject[n9]], doGet[*sObject[n17]])
		}},
		{"dig", func(b *testing.B) func() error {
			return digRequest(scopeTwenty, func(*sObject[n3], *sObject[n9], *sObject[n17]) {})
		}},
	},
}

func BenchmarkScope(b *testing.B) {
	for _, shape := range []string{"chain", "flat", "3of20"} {
		for _, r := range scopeShapes[shape] {
			b.Run(shape+"/"+r.name, func(b *testing.B) {
				request := r.make(b)
				b.ReportAllocs()
				for b.Loop() {
					if err := request(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// Throughput: the chain from 1, 2 and 8 goroutines.
func BenchmarkScopeParallel(b *testing.B) {
	for _, r := range scopeShapes["chain"] {
		if r.name == "dig" {
			continue
		}
		for _, goroutines := range []int{1, 2, 8} {
			b.Run(r.name+"/goroutines="+strconv.Itoa(goroutines), func(b *testing.B) {
				request := r.make(b)
				var all sync.WaitGroup
				b.ResetTimer()
				for g := range goroutines {
					all.Go(func() {
						for i := g; i < b.N; i += goroutines {
							if request() != nil {
								b.Error("it failed")
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}

func BenchmarkScopeSecondGet(b *testing.B) {
	scopes := benchScopes(b, scopeChain)
	ctx, sc := scopes.Begin(context.Background())
	deeper := context.WithValue(context.WithValue(ctx, sLink1{}, 1), sLink2{}, 2)
	for name, ctx := range map[string]context.Context{"direct": ctx, "two contexts deeper": deeper} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := fxscope.Get[*sLink1](ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	_ = sc.End(ctx)
}

// S11. FXKIT_LONG=1 makes it ten million; without, it is a hundredth of that.
func TestScopeMemory(t *testing.T) {
	scopes := benchScopes(t, scopeChain)
	n := 100_000
	if os.Getenv("FXKIT_LONG") != "" {
		n = 10_000_000
	}
	heap := func() (uint64, uint64) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.HeapObjects
	}
	rounds := func(n int) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range n / 4 {
					ctx, sc := scopes.Begin(context.Background())
					if scopeGet[*sLink1](ctx) != nil || sc.End(ctx) != nil {
						t.Error("it failed")
					}
				}
			})
		}
		all.Wait()
	}
	rounds(10_000)
	bytes, objects := heap()
	rounds(n)
	bytesAfter, objectsAfter := heap()
	t.Logf("%d scopes: heap %d -> %d bytes, %d -> %d objects", n, bytes, bytesAfter, objects, objectsAfter)
	if bytesAfter > bytes+64<<10 {
		t.Errorf("%d scopes left %d bytes", n, bytesAfter-bytes)
	}
}

func benchScopes(tb testing.TB, constructors []any) (scopes *fxscope.Scopes) {
	app := fx.New(fx.NopLogger, fxscope.Module, fxscope.Provide(constructors...), fx.Populate(&scopes))
	if err := app.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = app.Stop(context.Background()) })
	return scopes
}

func scopeGet[T any](ctx context.Context) error {
	_, err := fxscope.Get[T](ctx)
	return err
}

func scopeRequest(b *testing.B, constructors []any, gets ...func(context.Context) error) func() error {
	scopes := benchScopes(b, constructors)
	return func() error {
		ctx, sc := scopes.Begin(context.Background())
		for _, get := range gets {
			if err := get(ctx); err != nil {
				return err
			}
		}
		return sc.End(ctx)
	}
}
