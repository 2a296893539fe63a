package bench_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/samber/do/v2"
	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxscope"
)

// S12: a request that begins a scope, gets an object and ends the scope. Beside it the same by hand, in a scope of samber/do and in a
// fresh dig container.
//
// The shapes are a chain of five objects, five objects that one needs, and twenty of which three are asked for. None has hooks.

type (
	sLink1 struct{ next *sLink2 }
	sLink2 struct{ next *sLink3 }
	sLink3 struct{ next *sLink4 }
	sLink4 struct{ next *sLink5 }
	sLink5 struct{ n int }

	sFlat struct {
		a *sFlatA
		b *sFlatB
		c *sFlatC
		d *sFlatD
	}
	sFlatA struct{ n int }
	sFlatB struct{ n int }
	sFlatC struct{ n int }
	sFlatD struct{ n int }
)

func newLink1(l *sLink2) *sLink1 { return &sLink1{l} }
func newLink2(l *sLink3) *sLink2 { return &sLink2{l} }
func newLink3(l *sLink4) *sLink3 { return &sLink3{l} }
func newLink4(l *sLink5) *sLink4 { return &sLink4{l} }
func newLink5() *sLink5          { return &sLink5{} }

func newFlat(a *sFlatA, b *sFlatB, c *sFlatC, d *sFlatD) *sFlat { return &sFlat{a, b, c, d} }
func newFlatA() *sFlatA                                         { return &sFlatA{} }
func newFlatB() *sFlatB                                         { return &sFlatB{} }
func newFlatC() *sFlatC                                         { return &sFlatC{} }
func newFlatD() *sFlatD                                         { return &sFlatD{} }

var (
	scopeChain = []any{newLink1, newLink2, newLink3, newLink4, newLink5}
	scopeFlat  = []any{newFlat, newFlatA, newFlatB, newFlatC, newFlatD}
)

// sObject stands for twenty types.
type sObject[N any] struct{ _ N }

func newObject[N any]() *sObject[N] { return &sObject[N]{} }

type (
	n0  [1]byte
	n1  [2]byte
	n2  [3]byte
	n3  [4]byte
	n4  [5]byte
	n5  [6]byte
	n6  [7]byte
	n7  [8]byte
	n8  [9]byte
	n9  [10]byte
	n10 [11]byte
	n11 [12]byte
	n12 [13]byte
	n13 [14]byte
	n14 [15]byte
	n15 [16]byte
	n16 [17]byte
	n17 [18]byte
	n18 [19]byte
	n19 [20]byte
)

var scopeTwenty = []any{
	newObject[n0], newObject[n1], newObject[n2], newObject[n3], newObject[n4], newObject[n5], newObject[n6], newObject[n7], newObject[n8], newObject[n9],
	newObject[n10], newObject[n11], newObject[n12], newObject[n13], newObject[n14], newObject[n15], newObject[n16], newObject[n17], newObject[n18], newObject[n19],
}

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

// By hand: each object behind a sync.Once, and what was built closed in reverse if it can be.

type handScope struct{ built []any }

func (h *handScope) close() error {
	for i := len(h.built) - 1; i >= 0; i-- {
		if c, ok := h.built[i].(io.Closer); ok {
			if err := c.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func once[T any](h *handScope, o *sync.Once, at **T, make func() *T) *T {
	o.Do(func() { *at = make(); h.built = append(h.built, *at) })
	return *at
}

type handChained struct {
	handScope
	o1, o2, o3, o4, o5 sync.Once
	l1                 *sLink1
	l2                 *sLink2
	l3                 *sLink3
	l4                 *sLink4
	l5                 *sLink5
}

func (h *handChained) link1() *sLink1 {
	return once(&h.handScope, &h.o1, &h.l1, func() *sLink1 { return newLink1(h.link2()) })
}

func (h *handChained) link2() *sLink2 {
	return once(&h.handScope, &h.o2, &h.l2, func() *sLink2 { return newLink2(h.link3()) })
}

func (h *handChained) link3() *sLink3 {
	return once(&h.handScope, &h.o3, &h.l3, func() *sLink3 { return newLink3(h.link4()) })
}

func (h *handChained) link4() *sLink4 {
	return once(&h.handScope, &h.o4, &h.l4, func() *sLink4 { return newLink4(h.link5()) })
}

func (h *handChained) link5() *sLink5 { return once(&h.handScope, &h.o5, &h.l5, newLink5) }

var handSink any

func handChain() error {
	h := &handChained{}
	if h.link1() == nil {
		return io.EOF
	}
	return h.close()
}

type handKey struct{}

func handChainContext() error {
	ctx := context.WithValue(context.Background(), handKey{}, &handChained{})
	h, _ := ctx.Value(handKey{}).(*handChained)
	if h.link1() == nil {
		return io.EOF
	}
	return h.close()
}

type handFlattened struct {
	handScope
	o, oa, ob, oc, od sync.Once
	f                 *sFlat
	a                 *sFlatA
	b                 *sFlatB
	c                 *sFlatC
	d                 *sFlatD
}

func handFlat() error {
	h := &handFlattened{}
	f := once(&h.handScope, &h.o, &h.f, func() *sFlat {
		return newFlat(once(&h.handScope, &h.oa, &h.a, newFlatA), once(&h.handScope, &h.ob, &h.b, newFlatB),
			once(&h.handScope, &h.oc, &h.c, newFlatC), once(&h.handScope, &h.od, &h.d, newFlatD))
	})
	if f == nil {
		return io.EOF
	}
	return h.close()
}

func handThree() error {
	var h struct {
		handScope
		once [20]sync.Once
		a    *sObject[n3]
		b    *sObject[n9]
		c    *sObject[n17]
		_    [17]any // the others
	}
	handSink = &h
	once(&h.handScope, &h.once[3], &h.a, newObject[n3])
	once(&h.handScope, &h.once[9], &h.b, newObject[n9])
	once(&h.handScope, &h.once[17], &h.c, newObject[n17])
	return h.close()
}

// samber/do: a scope of the application's injector per request, with the providers registered in it, shut down and so forgotten.

func doGet[T any](s do.Injector) error {
	_, err := do.Invoke[T](s)
	return err
}

func doRequest(b *testing.B, register func(do.Injector), gets ...func(do.Injector) error) func() error {
	root := do.New()
	b.Cleanup(func() { root.Shutdown() })
	var names atomic.Int64
	return func() error {
		s := root.Scope(strconv.FormatInt(names.Add(1), 10), register)
		for _, get := range gets {
			if err := get(s); err != nil {
				return err
			}
		}
		if report := s.Shutdown(); !report.Succeed {
			return report
		}
		return nil
	}
}

func doChain(s do.Injector) {
	do.Provide(s, func(i do.Injector) (*sLink1, error) { l, err := do.Invoke[*sLink2](i); return newLink1(l), err })
	do.Provide(s, func(i do.Injector) (*sLink2, error) { l, err := do.Invoke[*sLink3](i); return newLink2(l), err })
	do.Provide(s, func(i do.Injector) (*sLink3, error) { l, err := do.Invoke[*sLink4](i); return newLink3(l), err })
	do.Provide(s, func(i do.Injector) (*sLink4, error) { l, err := do.Invoke[*sLink5](i); return newLink4(l), err })
	do.Provide(s, func(do.Injector) (*sLink5, error) { return newLink5(), nil })
}

func doFlat(s do.Injector) {
	do.Provide(s, func(i do.Injector) (*sFlat, error) {
		return newFlat(do.MustInvoke[*sFlatA](i), do.MustInvoke[*sFlatB](i), do.MustInvoke[*sFlatC](i), do.MustInvoke[*sFlatD](i)), nil
	})
	do.Provide(s, func(do.Injector) (*sFlatA, error) { return newFlatA(), nil })
	do.Provide(s, func(do.Injector) (*sFlatB, error) { return newFlatB(), nil })
	do.Provide(s, func(do.Injector) (*sFlatC, error) { return newFlatC(), nil })
	do.Provide(s, func(do.Injector) (*sFlatD, error) { return newFlatD(), nil })
}

func doObject[N any](s do.Injector) {
	do.Provide(s, func(do.Injector) (*sObject[N], error) { return newObject[N](), nil })
}

func doTwenty(s do.Injector) {
	for _, provide := range []func(do.Injector){
		doObject[n0], doObject[n1], doObject[n2], doObject[n3], doObject[n4], doObject[n5], doObject[n6], doObject[n7], doObject[n8], doObject[n9],
		doObject[n10], doObject[n11], doObject[n12], doObject[n13], doObject[n14], doObject[n15], doObject[n16], doObject[n17], doObject[n18], doObject[n19],
	} {
		provide(s)
	}
}

// dig: a container per request.
func digRequest(constructors []any, invoke any) func() error {
	return func() error {
		c := dig.New()
		for _, constructor := range constructors {
			if err := c.Provide(constructor); err != nil {
				return fmt.Errorf("provide: %w", err)
			}
		}
		return c.Invoke(invoke)
	}
}
