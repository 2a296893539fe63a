package fxqualifier

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/fxkit/fxkit/internal/fxloc"
)

// A Set is the lookup over everything that was provided as T with qualifiers. It does not change once built and may
// be used from many goroutines. The zero Set is empty.
type Set[T any] struct {
	catalogue
	values []resolver[T] // by the position of the member in catalogue
}

// A resolver is the value of a singleton member, or the function that gets that of a dynamic one.
type resolver[T any] struct {
	value T
	get   func(context.Context) (T, error)
}

// A Member is what NewSet makes a Set of. With Get it is resolved each time it is asked for, and Value is ignored.
type Member[T any] struct {
	Qualifiers []Qualifier
	Value      T
	Get        func(context.Context) (T, error)
}

// NewSet makes a Set without Fx, for tests of whoever takes one. Its errors are those that Collect would have.
func NewSet[T any](members ...Member[T]) (*Set[T], error) {
	caller := fxloc.Caller(0)
	var errs []error
	entries := make([]entry[T], len(members))
	registrations := make([]registration, len(members))
	for i, m := range members {
		where := fmt.Sprintf("member %d of NewSet (%s)", i+1, caller)
		if err := checkQualifiers(m.Qualifiers); err != nil {
			errs = append(errs, fmt.Errorf("fxqualifier: %s: %w", where, err))
		}
		qs := slices.Clone(m.Qualifiers)
		entries[i] = entry[T]{number: i, qualifiers: qs, where: where, value: m.Value, get: m.Get}
		registrations[i] = registration{typ: reflect.TypeFor[T](), where: where, members: [][]Qualifier{qs}}
	}
	if err := errors.Join(append(errs, checkRegistrations(registrations))...); err != nil {
		return nil, err
	}
	return newSet(entries), nil
}

func newSet[T any](entries []entry[T]) *Set[T] {
	s := &Set[T]{values: make([]resolver[T], len(entries))}
	for i, e := range entries {
		s.add(e.qualifiers, e.where)
		s.values[i] = resolver[T]{e.value, e.get}
	}
	return s
}

// Get returns the one member that carries every one of these qualifiers; it may carry more. None is ErrNotFound and
// several are ErrAmbiguous. For a dynamic member ctx decides which value that is, and the error is that of its get.
func (s *Set[T]) Get(ctx context.Context, qs ...Qualifier) (T, error) {
	var position int32
	if len(qs) == 1 {
		position = s.only(&qs[0])
	} else {
		position = s.one(qs)
	}
	if position < 0 {
		var none T
		return none, &lookupError{&s.catalogue, reflect.TypeFor[T](), slices.Clone(qs), fxloc.CallerPC(0)}
	}
	if r := &s.values[position]; r.get == nil {
		return r.value, nil
	}
	return s.resolve(ctx, position)
}

// All iterates over every member that carries all of these qualifiers, in the order of registration: that in which the
// options were given to fx.New, a module's own before those of the modules in it. A dynamic member is resolved when
// the loop comes to it. If that fails the loop gets its error, and may go on.
func (s *Set[T]) All(ctx context.Context, qs ...Qualifier) iter.Seq2[T, error] {
	qs = slices.Clone(qs)
	return func(yield func(T, error) bool) {
		for i := range s.matching(qs) {
			if !yield(s.resolve(ctx, i)) {
				return
			}
		}
	}
}

// Members are the qualifiers of each member, in the order of registration. Attribute.In reads them.
func (s *Set[T]) Members() [][]Qualifier {
	members := make([][]Qualifier, len(s.members))
	for i, m := range s.members {
		members[i] = slices.Clone(m.qualifiers)
	}
	return members
}

func (s *Set[T]) resolve(ctx context.Context, i int32) (T, error) {
	r := &s.values[i]
	if r.get == nil {
		return r.value, nil
	}
	value, err := r.get(ctx)
	if err != nil {
		var none T
		m := &s.members[i]
		return none, fmt.Errorf("fxqualifier: get %s of %s: %w", describe(reflect.TypeFor[T](), m.qualifiers), m.where, err)
	}
	return value, nil
}
