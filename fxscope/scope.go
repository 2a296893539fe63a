package fxscope

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/fxkit/fxkit/fxbackground"
)

// A Scope has the objects of one request, from Begin to End. Get reaches it through a context.
type Scope struct {
	root   frame
	scopes *Scopes
	id     uint64
	over   atomic.Bool // Get gives ErrEnded. Set under mu

	mu       sync.Mutex
	slots    []slot
	extra    []ScopeValue // values that the plan does not know
	owned    []*object    // with hooks for the end, in order of construction
	tasks    *fxbackground.Group
	state    scopeState
	released bool // somebody else will call End
	endErr   error
	endDone  chan struct{}               // made by the first who waits for another's End
	siblings struct{ prev, next *Scope } // guarded by the shard's lock
}

type scopeState uint8

const (
	live scopeState = iota
	ending
	ended
)

// A waiting is what those share who wait for one build.
type waiting struct {
	done   chan struct{}
	err    error
	builds []build // that wait
}

// A ScopeValue is what With makes of a value.
type ScopeValue struct {
	t     reflect.Type
	value reflect.Value
}

// With puts v into the scope that begins with it, as its T. It has no hooks there: whoever made it closes it. Get finds it
// without further ado; for constructors that take one, T is declared with Value. A T that is also provided is not built in that
// scope, which is how a test replaces it. Of several values of one type the last counts.
func With[T any](v T) ScopeValue {
	t := reflect.TypeFor[T]()
	if t.Kind() == reflect.Interface {
		return ScopeValue{t, reflect.ValueOf(&v).Elem()}
	}
	return ScopeValue{t, reflect.ValueOf(v)}
}

// ID tells the scope from every other, those of other processes included, in logs: 16 hexadecimal digits.
func (sc *Scope) ID() string { return fmt.Sprintf("%016x", sc.id) }

// Err is nil while Get can find objects in the scope, which it can until its tasks have drained, and then ErrEnded.
func (sc *Scope) Err() error {
	if sc.over.Load() {
		return ErrEnded
	}
	return nil
}

// Tasks are the scope's background tasks. End waits for them before it destroys what they use. The group is made when
// first asked for; that of an ended scope accepts nothing.
func (sc *Scope) Tasks() *fxbackground.Group {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.tasks == nil {
		sc.tasks = sc.scopes.runner.Group("scope " + sc.ID())
		if sc.over.Load() {
			_ = sc.tasks.Drain(context.Background()) // of nothing, so it does not wait
		}
	}
	return sc.tasks
}

// put fills a slot, or remembers what has none.
func (sc *Scope) put(v ScopeValue) {
	if v.t == nil {
		return // the zero ScopeValue
	}
	if i := sc.scopes.plan.find(v.t, nil); i >= 0 {
		sc.slots[i].fill(v.value)
		return
	}
	sc.extra = append(sc.extra, v)
}

// given is a value that the scope was begun with, of a type that the plan does not know.
func (sc *Scope) given(t reflect.Type) (reflect.Value, bool) {
	for i := len(sc.extra) - 1; i >= 0; i-- {
		if sc.extra[i].t == t {
			return sc.extra[i].value, true
		}
	}
	return reflect.Value{}, false
}

// From is the scope of a context.
func From(ctx context.Context) (*Scope, bool) {
	if f, ok := ctx.Value(scopeKey{}).(*frame); ok {
		return f.scope, true
	}
	return nil, false
}
