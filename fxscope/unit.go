package fxscope

import "reflect"

// A unit is a constructor in an application's plan, with the sources of all it takes.
type unit struct {
	*bound
	call    reflect.Value
	slots   []int    // one per result
	sources []source // one per want

	args    []reflect.Value // per parameter: what is the same in every scope is in place
	varying []varying
	hooks   []hookSet // per result, where its type alone tells
	dynamic []bool    // per result: it is an interface, so what is in it tells
}

type sourceKind uint8

const (
	fromNobody sourceKind = iota // the zero value: it is optional
	fromFx
	fromSlot
	fromContext
	fromScope
	fromTasks
	fromScopes
)

// A source is where a want comes from.
type source struct {
	kind  sourceKind
	slot  int
	value reflect.Value // fromFx
}

// A varying argument, or field of one, is not the same in every scope.
type varying struct {
	source
	*want
	fresh bool // the first of its fx.In, which is copied before it is filled
}

// home is the slot that has the state of the unit's construction.
func (u *unit) home() int { return u.slots[0] }

// prepare puts in place what is the same in every scope.
func (u *unit) prepare(scopes *Scopes) {
	u.call = reflect.ValueOf(u.fn)
	for _, p := range u.params {
		switch {
		case p.variadic: // gets nothing
		case p.in:
			u.args = append(u.args, reflect.New(p.t).Elem())
		default:
			u.args = append(u.args, reflect.Zero(p.t))
		}
	}
	copied := make(map[int]bool)
	for i := range u.wants {
		w, src := &u.wants[i], u.sources[i]
		switch src.kind {
		case fromNobody:
			continue
		case fromFx:
			u.set(u.args, w, src.value)
			continue
		case fromScopes:
			u.set(u.args, w, reflect.ValueOf(scopes))
			continue
		}
		u.varying = append(u.varying, varying{src, w, w.field != nil && !copied[w.param]})
		copied[w.param] = true
	}
	for _, r := range u.results {
		dynamic := r.made.Kind() == reflect.Interface
		u.dynamic = append(u.dynamic, dynamic)
		var hooks hookSet
		if !dynamic {
			hooks = scopes.hooksOf(r.made)
		}
		u.hooks = append(u.hooks, hooks)
	}
}

func (*unit) set(args []reflect.Value, w *want, v reflect.Value) {
	if w.field == nil {
		args[w.param] = v
		return
	}
	args[w.param].FieldByIndex(w.field).Set(v)
}
