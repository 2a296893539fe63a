package fxscope

import (
	"context"

	"github.com/fxkit/fxkit/internal/cancelkey"
)

type scopeKey struct{}

// cancelKey never changes.
var cancelKey = cancelkey.Learn()

// A frame is a context within a scope: that which Begin returns, and one for each construction that takes a context. It
// has the values of the context that the scope was begun with, and the cancellation of the Get that builds the object. By
// its build a Get through it is known to be part of that construction, which is how cycles are found.
type frame struct {
	context.Context // whose cancellation it has
	scope           *Scope
	build           build
}

func (f *frame) Value(key any) any {
	switch key {
	case scopeKey{}:
		return f
	case cancelKey:
		return f.Context.Value(key)
	}
	return f.scope.root.Context.Value(key)
}

func (f *frame) String() string { return "fxscope: context of scope " + f.scope.ID() }
