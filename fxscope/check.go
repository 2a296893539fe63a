package fxscope

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/fxkit/fxkit/internal/spelling"
)

// sourceOf is where a want comes from, and fromNobody where check will have something to say.
func (p *plan) sourceOf(w *want, proof *witness) source {
	switch w.t {
	case contextType:
		return source{kind: fromContext}
	case scopeType:
		return source{kind: fromScope}
	case scopesType:
		return source{kind: fromScopes}
	case groupType:
		return source{kind: fromTasks}
	}
	slot, scoped := p.scoped(w)
	switch {
	case scoped && proof == nil:
		return source{kind: fromSlot, slot: slot}
	case !scoped && proof != nil:
		return source{kind: fromFx, value: proof.value}
	}
	return source{}
}

// scoped tells whether the scope has what is wanted, as far as the want lets it.
func (p *plan) scoped(w *want) (slot int, ok bool) {
	if w.group != "" || w.side == singletonSide {
		return 0, false
	}
	slot, ok = p.byKey[w.key]
	return slot, ok
}

// check says what is wrong with a want, or nil.
func (p *plan) check(u *unit, i int) error {
	w, proof := &u.wants[i], u.witnesses[i]
	if u.sources[i].kind != fromNobody {
		return nil
	}
	wanted := fmt.Sprintf("fxscope: %v, wanted by %s as %s%s", w, u.place(), w.what, p.pathTo(u, w))
	if slot, scoped := p.scoped(w); scoped && proof != nil {
		return fmt.Errorf("%s, is ambiguous: it is a singleton%s and has one for each scope from %s: say which in an fx.In, with the tag scope:%q or scope:%q",
			wanted, p.graph.from(w), p.slots[slot].where, singletonSide, requestSide)
	}
	if w.side != requestSide {
		if broken := p.graph.broken(w); broken != "" {
			return fmt.Errorf("%s: Fx cannot provide it: %s", wanted, broken)
		}
	}
	if w.optional {
		return nil
	}
	if n := p.graph.provider(w.key); n != nil && w.group == "" && w.side != requestSide {
		return fmt.Errorf("%s: %w where this constructor can see it: %v provides it in another module, as fx.Private", wanted, ErrNotProvided, n)
	}
	nobody := "neither by Fx nor by a scoped constructor"
	switch w.side {
	case singletonSide:
		nobody = "as a singleton, by Fx"
	case requestSide:
		nobody = "by a scoped constructor"
	}
	return fmt.Errorf("%s: %w, %s%s", wanted, ErrNotProvided, nobody, p.hint(w.key))
}

// pathTo is how one gets to what u wants from an object that nobody else wants: empty if that is what u makes.
func (p *plan) pathTo(u *unit, w *want) string {
	path := []key{w.key}
	seen := make(map[*unit]bool)
	for at := u; at != nil; at = p.wantedBy(at, seen) {
		seen[at] = true
		path = append(path, at.results[0].key)
	}
	if len(path) == 2 {
		return ""
	}
	slices.Reverse(path)
	var b strings.Builder
	writePath(&b, path)
	return " (" + b.String() + ")"
}

func (p *plan) wantedBy(u *unit, seen map[*unit]bool) *unit {
	for _, other := range p.units {
		if seen[other] {
			continue
		}
		for _, src := range other.sources {
			if src.kind == fromSlot && p.slots[src.slot].unit == u {
				return other
			}
		}
	}
	return nil
}

// cycles reports every cycle of constructors, each whole and once.
func (p *plan) cycles() error {
	var errs []error
	const fresh, open, done = 0, 1, 2
	state := make(map[*unit]int)
	var path []int // slots, as they are wanted
	var visit func(slot int)
	visit = func(slot int) {
		u := p.slots[slot].unit
		if u == nil || state[u] == done {
			return
		}
		if state[u] == open {
			first := slices.IndexFunc(path, func(s int) bool { return p.slots[s].unit == u })
			errs = append(errs, p.cycleError(path[first:]))
			return
		}
		state[u] = open
		path = append(path, slot)
		for _, src := range u.sources {
			if src.kind == fromSlot {
				visit(src.slot)
			}
		}
		path = path[:len(path)-1]
		state[u] = done
	}
	for _, u := range p.units {
		if state[u] == fresh {
			visit(u.home())
		}
	}
	return errors.Join(errs...)
}

func (p *plan) cycleError(slots []int) error {
	return fmt.Errorf("fxscope: cycle: %s: none of them can be first (one of the constructors could take context.Context and call fxscope.Get later)", p.circle(slots))
}

// circle writes a cycle with the constructor of each.
func (p *plan) circle(slots []int) string {
	var b strings.Builder
	for i, s := range slots {
		if i > 0 {
			b.WriteString(", which wants ")
		}
		fmt.Fprintf(&b, "%v from %s", p.slots[s].key, p.slots[s].where)
	}
	fmt.Fprintf(&b, ", which wants %v", p.slots[slots[0]].key)
	return b.String()
}

// hint lists what may have been meant instead of k.
func (p *plan) hint(k key) string {
	const most = 5
	var near, implement, names []string
	for i := range p.slots {
		s := &p.slots[i]
		from := fmt.Sprintf("%v from %s", s.key, s.where)
		switch {
		case s.key == k:
		case s.t == k.t, s.t == reflect.PointerTo(k.t), k.t == reflect.PointerTo(s.t):
			near = append(near, from)
		case k.t.Kind() == reflect.Interface && k.t.NumMethod() > 0 && s.t.Implements(k.t):
			implement = append(implement, from)
		default:
			names = append(names, s.String())
		}
	}
	near = append(append(near, p.graph.near(k)...), implement...)
	if len(near) > most {
		near = append(near[:most], "…")
	}
	if len(near) > 0 {
		return ": there is " + strings.Join(near, ", and ")
	}
	return nearest(k.String(), append(names, p.graph.names()...))
}

// nearest compares what is behind the package: that in front is mostly the same, and makes everything look alike.
func nearest(name string, known []string) string {
	base := func(s string) string { return strings.TrimPrefix(s[strings.LastIndexByte(s, '.')+1:], "*") }
	bases := make([]string, len(known))
	for i, k := range known {
		bases[i] = base(k)
	}
	near, ok := spelling.Nearest(base(name), bases)
	if !ok {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", known[slices.Index(bases, near)])
}
