package fxscope_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxscope"
)

// A chain of five objects without hooks.
type (
	link1 struct{ *link2 }
	link2 struct{ *link3 }
	link3 struct{ *link4 }
	link4 struct{ *link5 }
	link5 struct{ _ int }
)

var chain = fxscope.Provide(
	func(l *link2) *link1 { return &link1{l} },
	func(l *link3) *link2 { return &link2{l} },
	func(l *link4) *link3 { return &link3{l} },
	func(l *link5) *link4 { return &link4{l} },
	func() *link5 { return &link5{} },
)

// Not parallel: allocations are counted for the whole process.
func TestS12_allocations(t *testing.T) {
	scopes := begin(t, chain, fxscope.ProvideQualified[hello](newCounter, kind.Of("a")))
	allocs := testing.AllocsPerRun(1000, func() {
		ctx, sc := scopes.Begin(context.Background())
		if get[*link1](ctx) != nil || sc.End(ctx) != nil {
			t.Error("it failed")
		}
	})
	assert.LessOrEqual(t, allocs, 18.0, "begin, get a chain of five, end")

	ctx, sc := scopes.Begin(context.Background())
	require.NoError(t, get[*link1](ctx))
	_, err := fxscope.Get[hello](ctx, kind.Of("a"))
	require.NoError(t, err)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = fxscope.Get[*link1](ctx) }), "a second Get")
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = fxscope.Get[hello](ctx, kind.Of("a")) }), "also with a qualifier")
	require.NoError(t, sc.End(ctx))
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		ctx, sc := scopes.Begin(context.Background())
		_ = sc.End(ctx)
	}), 2.0, "a scope that nobody uses")
}

// S11, in small: bench has it with ten million. Scopes of every kind end and are let go: used and not, within others, through
// Middleware, with tasks and with hooks.
func TestS11_an_ended_scope_is_garbage(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a hundred thousand scopes")
	}
	l := newLedger()
	l.living = nil // it would keep them
	scopes := begin(t, chain, fxscope.Provide(func(*link1) *slow { return &slow{func(context.Context) error { return nil }} }))
	handler := scopes.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = get[*link1](r.Context()) }))
	round := func(n int) {
		for i := range n {
			ctx, sc := scopes.Begin(context.Background(), fxscope.With(tenant("x")))
			_ = get[*link1](ctx)
			inner, sc2 := scopes.Begin(ctx)
			if i%10 == 0 {
				_ = get[*slow](inner)
				_ = sc2.Tasks().Run(inner, "task", get[*link1])
				handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			}
			if sc2.End(inner) != nil || sc.End(ctx) != nil {
				t.Error("it failed")
			}
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round(5_000)
	before := heap()
	round(50_000)
	after := heap()
	assert.Less(t, int64(after)-int64(before), int64(1<<20), "a hundred thousand scopes left %d bytes", int64(after)-int64(before))
	assert.Zero(t, scopes.Live())

	// Whoever keeps the context of an ended scope keeps that scope alone.
	ctx, first := scopes.Begin(context.Background())
	collected := make(chan struct{})
	func() {
		other, second := scopes.Begin(context.Background())
		runtime.AddCleanup(second, func(ch chan struct{}) { close(ch) }, collected)
		require.NoError(t, first.End(ctx))
		require.NoError(t, second.End(other))
	}()
	for range 5 {
		runtime.GC()
	}
	select {
	case <-collected:
	case <-time.After(10 * time.Second):
		t.Error("the context of one scope keeps another alive")
	}
	runtime.KeepAlive(ctx)
}
