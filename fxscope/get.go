package fxscope

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/fxkit/fxkit/fxqualifier"
)

// Get returns the T of ctx's scope, and builds it if nobody has asked for it yet. With qualifiers it is that of a
// ProvideQualified with the same ones, in any order.
//
// Who asks while another goroutine builds it waits, as long as ctx lives, and gets the same object or the same error. A
// failure is not remembered: the next Get tries again.
//
// The error is ErrNoScope, ErrEnded, ErrNotProvided, or what a constructor or hook failed with, and names the path from T to it.
func Get[T any](ctx context.Context, qs ...fxqualifier.Qualifier) (T, error) {
	var none T
	t := reflect.TypeFor[T]()
	f, ok := ctx.Value(scopeKey{}).(*frame)
	if !ok {
		k := key{t, fxqualifier.Name(slices.Clone(qs)...)}
		return none, fmt.Errorf("fxscope: get %v: %w: begin one with Scopes.Run, Scopes.Begin or Scopes.Middleware, and pass on its context", k, ErrNoScope)
	}
	sc := f.scope
	i := sc.scopes.plan.find(t, qs)
	if i < 0 {
		return other[T](f, t, slices.Clone(qs))
	}
	s := &sc.slots[i]
	if !s.ready() || sc.over.Load() {
		if err := sc.provide(ctx, i, f.build); err != nil {
			return none, err
		}
	}
	v, _ := s.value.Interface().(T) // fails for a nil interface alone
	return v, nil
}

// other gets what has no slot: the scope's own, and values that nobody declared.
func other[T any](f *frame, t reflect.Type, qs []fxqualifier.Qualifier) (none T, err error) {
	sc, k := f.scope, key{t, fxqualifier.Name(qs...)}
	if sc.over.Load() {
		return none, failed(k, ErrEnded)
	}
	if len(qs) == 0 {
		var v any
		switch t {
		case contextType:
			v = context.Context(f)
		case scopeType:
			v = sc
		case scopesType:
			v = sc.scopes
		case groupType:
			v = sc.Tasks()
		default:
			if given, ok := sc.given(t); ok {
				v = given.Interface()
			} else {
				return none, failed(k, sc.scopes.plan.notProvided(k))
			}
		}
		got, _ := v.(T)
		return got, nil
	}
	return none, failed(k, sc.scopes.plan.notProvided(k))
}

// notProvided says why Get cannot find k, and where it may be.
func (p *plan) notProvided(k key) error {
	if n := p.graph.provider(k); n != nil {
		return fmt.Errorf("%w in the scope: it is a singleton, from %v: take it as a parameter of the constructor", ErrNotProvided, n)
	}
	return fmt.Errorf("%w in the scope%s", ErrNotProvided, p.hint(k))
}

// missingValue is why a Value is not there.
func missingValue(s *slotPlan) error {
	return fmt.Errorf("%w: it is a Value (%s), and the scope was begun without: pass fxscope.With(…) to Begin or Run", ErrNotProvided, s.where)
}

// waitEnded is why a wait is over before its build is.
func waitEnded(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return fmt.Errorf("waiting for another goroutine that builds it: %w", err)
}
