package fxfactory

import (
	"maps"
	"math"
)

// A table is what lookups read, without a lock: an immutable base map, and beside it a small immutable overlay of what came later,
// which is copied for each change. An instance that left is not taken out of the maps but marked as not live,
// so that Remove copies nothing, and a reader of an outdated table never gets it. When overlay and dead entries have grown to
// about the square root of the whole, both maps become a new base: a change then costs O(√n) on average, copy and rebuild together.
type table[T any] struct {
	base, overlay map[string]*instance[T]
	dead          int // entries of both maps that are not live, at least
}

func (t *table[T]) get(name string) *instance[T] {
	if in := t.base[name]; in != nil && in.live.Load() {
		return in
	}
	if len(t.overlay) > 0 {
		if in := t.overlay[name]; in != nil && in.live.Load() {
			return in
		}
	}
	return nil
}

// lookup gives the live instance of a name, or nil.
//
// What replaces an instance is in a new table before the old one stops being live. So a reader whose table has only a dead entry finds
// the new one in the next table, and one whose table is still the latest knows that there is none.
func (f *Factory[T, C]) lookup(name string) *instance[T] {
	t := f.table.Load()
	for {
		if in := t.get(name); in != nil {
			return in
		}
		latest := f.table.Load()
		if latest == t {
			return nil
		}
		t = latest
	}
}

// publishAll makes the instances of all records live. f.mu is held.
func (f *Factory[T, C]) publishAll() {
	base := f.current()
	for _, in := range base {
		in.live.Store(true)
	}
	f.live = len(base)
	f.table.Store(&table[T]{base: base})
}

// withdrawAll leaves lookups nothing. f.mu is held.
func (f *Factory[T, C]) withdrawAll(all []*instance[T]) {
	f.table.Store(&table[T]{})
	for _, in := range all {
		in.live.Store(false)
	}
	f.live, f.names = 0, nil
}

// publish makes in the instance of its name, in place of old if that is not nil. f.mu is held.
func (f *Factory[T, C]) publish(in, old *instance[T]) {
	in.live.Store(true)
	t := f.table.Load()
	next := &table[T]{base: t.base, overlay: maps.Clone(t.overlay), dead: t.dead}
	if next.overlay == nil {
		next.overlay = make(map[string]*instance[T], 1)
	}
	next.overlay[in.name] = in
	if old != nil {
		next.dead++
	} else {
		f.live++
	}
	f.table.Store(f.compact(next))
	if old != nil {
		old.live.Store(false)
	}
	f.names = nil
}

// unpublish takes in out of the lookups. f.mu is held.
func (f *Factory[T, C]) unpublish(in *instance[T]) {
	in.live.Store(false)
	f.live--
	f.names = nil
	t := f.table.Load()
	next := &table[T]{base: t.base, overlay: t.overlay, dead: t.dead + 1}
	f.table.Store(f.compact(next))
}

// compact returns t, or if it has collected too much beside its base a new table of what the records hold. The records are ahead of the
// lookups: every caller has already changed them.
func (f *Factory[T, C]) compact(t *table[T]) *table[T] {
	if len(t.overlay)+t.dead <= 16+int(math.Sqrt(float64(len(f.records)))) {
		return t
	}
	return &table[T]{base: f.current()}
}

// current is the instance of every name that has one. f.mu is held.
func (f *Factory[T, C]) current() map[string]*instance[T] {
	all := make(map[string]*instance[T], len(f.records))
	for name, r := range f.records {
		if r.current != nil {
			all[name] = r.current
		}
	}
	return all
}
