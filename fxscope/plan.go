package fxscope

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/fxkit/fxkit/fxqualifier"
)

// A plan is what all scopes of an application have in common: which objects there may be, who makes each and of what.
// It is made once, when the application is, and does not change.
type plan struct {
	slots   []slotPlan
	units   []*unit
	byKey   map[key]int
	byType  map[reflect.Type]*family
	request int // the slot of *http.Request
	graph   *graph
}

// A slotPlan is one object that a scope may have. The unit of a Value is nil: With fills its slot.
type slotPlan struct {
	key
	unit       *unit
	where      string
	qualifiers []fxqualifier.Qualifier
}

// A family are the slots of one type: the plain one, those with one qualifier, those with several.
type family struct {
	plain   int // -1: none
	single  map[fxqualifier.Qualifier]int
	several []int
}

// newPlan finds for each want where it comes from. Everything that is wrong is in the one error.
func newPlan(declared []*bound, scopes *Scopes, dot string) (*plan, error) {
	// Fx shuffles groups; an error must read the same in every run.
	slices.SortStableFunc(declared, func(a, b *bound) int {
		return cmp.Or(cmp.Compare(a.place(), b.place()), cmp.Compare(a.first(), b.first()))
	})
	p := &plan{byKey: make(map[key]int), byType: make(map[reflect.Type]*family), graph: &graph{dot: dot}}
	p.request = p.addValue(reflect.TypeFor[*http.Request](), "fxscope itself, for Middleware")
	for _, b := range declared {
		if b.declaration == nil {
			p.addValue(b.value, b.valueAt)
		}
	}
	var errs []error
	for _, b := range declared {
		if b.declaration != nil {
			errs = append(errs, p.addUnit(b))
		}
	}
	for _, u := range p.units {
		for i := range u.wants {
			u.sources = append(u.sources, p.sourceOf(&u.wants[i], u.witnesses[i]))
		}
	}
	for _, u := range p.units {
		for i := range u.wants {
			errs = append(errs, p.check(u, i))
		}
	}
	errs = append(errs, p.cycles())
	if len(p.slots) > maxSlots {
		errs = append(errs, fmt.Errorf("fxscope: %d types are provided and declared: a scope has at most %d", len(p.slots), maxSlots))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, u := range p.units {
		u.prepare(scopes)
	}
	return p, nil
}

func (b *bound) place() string {
	if b.declaration != nil {
		return b.declaration.where
	}
	return b.valueAt
}

func (b *bound) first() string {
	if b.declaration != nil {
		return b.results[0].String()
	}
	return b.value.String()
}

func (p *plan) addValue(t reflect.Type, where string) int {
	if i, ok := p.byKey[key{t: t}]; ok {
		return i
	}
	return p.addSlot(slotPlan{key: key{t: t}, where: where})
}

// addUnit adds a constructor and a slot for each of its results.
func (p *plan) addUnit(b *bound) error {
	var errs []error
	u := &unit{bound: b}
	p.units = append(p.units, u)
	for _, r := range b.results {
		if other, ok := p.byKey[r.key]; ok {
			errs = append(errs, p.twice(r.key, &p.slots[other], b.declaration))
			u.slots = append(u.slots, other)
			continue
		}
		u.slots = append(u.slots, p.addSlot(slotPlan{key: r.key, unit: u, where: b.declaration.where, qualifiers: b.qualifiers}))
	}
	return errors.Join(errs...)
}

func (p *plan) twice(k key, other *slotPlan, d *declaration) error {
	switch {
	case other.unit == nil:
		return fmt.Errorf("fxscope: %v is a Value (%s) and also what %s returns: it can only be one of them (a test replaces a scoped object with fxscope.With alone)", k, other.where, d.where)
	case other.unit.declaration == d:
		return fmt.Errorf("fxscope: %s returns %v twice: a scope has one of each type", d.where, k)
	}
	return fmt.Errorf("fxscope: %v has two constructors, %s and %s: a scope has one of each type (fxscope.ProvideQualified tells several apart)", k, other.where, d.where)
}

func (p *plan) addSlot(s slotPlan) int {
	i := len(p.slots)
	p.slots = append(p.slots, s)
	p.byKey[s.key] = i
	f := p.byType[s.t]
	if f == nil {
		f = &family{plain: -1}
		p.byType[s.t] = f
	}
	switch len(s.qualifiers) {
	case 0:
		f.plain = i
	case 1:
		if f.single == nil {
			f.single = make(map[fxqualifier.Qualifier]int)
		}
		f.single[s.qualifiers[0]] = i
	default:
		f.several = append(f.several, i)
	}
	return i
}

// find is the slot of a type with exactly these qualifiers, or -1.
func (p *plan) find(t reflect.Type, qs []fxqualifier.Qualifier) int {
	f := p.byType[t]
	if f == nil {
		return -1
	}
	switch len(qs) {
	case 0:
		return f.plain
	case 1:
		if i, ok := f.single[qs[0]]; ok {
			return i
		}
		return -1
	}
	for _, i := range f.several {
		if sameSet(p.slots[i].qualifiers, qs) {
			return i
		}
	}
	return -1
}

// sameSet compares without regard to order. Neither list has a qualifier twice, or it would match nothing.
func sameSet(a, b []fxqualifier.Qualifier) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !slices.Contains(b, a[i]) {
			return false
		}
	}
	return true
}
