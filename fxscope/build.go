package fxscope

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"

	"github.com/fxkit/fxkit/internal/guard"
)

// provide sees to it that slot i is ready: it builds what belongs there, or waits for who does. by is the build that needs it.
func (sc *Scope) provide(ctx context.Context, i int, by build) error {
	at := &sc.scopes.plan.slots[i]
	if at.unit == nil {
		switch {
		case sc.over.Load():
			return failed(at.key, ErrEnded)
		case !sc.slots[i].ready():
			return failed(at.key, missingValue(at))
		}
		return nil
	}
	me, done, err := sc.claim(ctx, i, by)
	if err == nil && !done {
		err = sc.build(ctx, at.unit, me)
	}
	if err != nil {
		return failed(at.key, err)
	}
	return nil
}

// claim makes the caller the one who builds slot i, unless it is ready or becomes so while we wait.
func (sc *Scope) claim(ctx context.Context, i int, by build) (me build, done bool, err error) {
	home := sc.scopes.plan.slots[i].unit.home()
	at := &sc.slots[home]
	for {
		// The state is read first: if it is the same when it is replaced, no build has come to an end since, so i is
		// still not ready.
		s := at.load()
		switch {
		case sc.over.Load():
			return build{}, false, ErrEnded
		case sc.slots[i].ready():
			return build{}, true, nil
		case s&isBuilding == 0:
			if begun := s.begun(by); at.replace(s, begun) {
				return build{uint32(home), begun.attempt()}, false, nil
			}
		default:
			if err := sc.join(ctx, uint32(home), by); err != nil {
				return build{}, false, err
			}
		}
	}
}

// join waits for the build that is under way at home, if it still is.
func (sc *Scope) join(ctx context.Context, home uint32, by build) error {
	sc.mu.Lock()
	if circle := sc.circle(by, home, nil); circle != nil {
		sc.mu.Unlock()
		return fmt.Errorf("cycle at run time: %s", sc.scopes.plan.circle(circle))
	}
	at := &sc.slots[home]
	for {
		s := at.load()
		if s&isBuilding == 0 {
			sc.mu.Unlock()
			return nil
		}
		if at.replace(s, s|isAwaited) {
			break // from here on the builder needs the lock to end it, and will find us
		}
	}
	if at.waiting == nil {
		at.waiting = &waiting{done: make(chan struct{})}
	}
	w := at.waiting
	if by != (build{}) {
		w.builds = append(w.builds, by)
	}
	sc.mu.Unlock()
	return sc.await(ctx, w, by)
}

func (sc *Scope) await(ctx context.Context, w *waiting, by build) error {
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if at := slices.Index(w.builds, by); at >= 0 {
		w.builds = slices.Delete(w.builds, at, at+1)
	}
	return waitEnded(ctx)
}

// circle tells whether the build of target cannot go on before by has: by is a part of it, or of what it waits for. It returns the
// slots from target to by, or nil.
//
// There is an edge from who builds to what it builds that for, and one from who waits. A build begins with nobody waiting for it, so only
// a wait can close a circle; waits begin under the lock, and the last one finds all the others. Call with mu held.
func (sc *Scope) circle(by build, target uint32, seen []build) []int {
	s := sc.slots[by.home].load()
	// A context that outlived the construction it was for belongs to none.
	if by == (build{}) || s&isBuilding == 0 || s.attempt() != by.attempt || slices.Contains(seen, by) {
		return nil
	}
	if by.home == target {
		return []int{int(target)}
	}
	seen = append(seen, by)
	needed := []build{s.parent()}
	if w := sc.slots[by.home].waiting; w != nil {
		needed = append(needed, w.builds...)
	}
	for _, b := range needed {
		if path := sc.circle(b, target, seen); path != nil {
			return append(path, int(by.home))
		}
	}
	return nil
}

// build makes the objects of a unit and settles what is to become of them, whatever the constructor and the hooks do.
func (sc *Scope) build(ctx context.Context, u *unit, me build) (err error) {
	var b construction
	err = guard.ErrGoexit
	defer func() {
		if v := recover(); v != nil {
			err = u.failed("", &guard.PanicError{Value: v, Stack: debug.Stack()})
		} else if err == guard.ErrGoexit { //nolint:errorlint // ours of above, not one that somebody returned
			err = u.failed("", err)
		}
		err = sc.settle(u, me, &b, err)
	}()
	err = b.run(ctx, sc, u, me)
	return err
}

// settle ends a build: its objects are the scope's, or destroyed here, since nobody else knows of them.
func (sc *Scope) settle(u *unit, me build, b *construction, err error) error {
	if err == nil {
		err = sc.own(b.objects)
	}
	if err != nil && b.objects != nil {
		err = sc.discard(b.objects, err)
	}
	at := &sc.slots[me.home]
	var done state
	if err == nil {
		for i, slot := range u.slots {
			s := &sc.slots[slot]
			switch {
			case s.ready(): // With stands in for one of several results
			case s == at:
				s.value, done = b.results[i], isReady // seen when the state changes, below
			default:
				s.fill(b.results[i])
			}
		}
	}
	for {
		s := at.load()
		if s&isAwaited != 0 {
			break
		}
		if at.replace(s, s.settled()|done) {
			return err
		}
	}
	sc.mu.Lock()
	w := at.waiting
	at.waiting = nil
	w.err = err
	at.state.Store(uint64(at.load().settled() | done))
	sc.mu.Unlock()
	close(w.done)
	return err
}

// own leaves objects to the scope to destroy, unless it has ended.
func (sc *Scope) own(objects []*object) error {
	if objects == nil {
		return sc.Err()
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.over.Load() {
		return ErrEnded
	}
	for _, o := range objects {
		if o.hooks&endHooks != 0 {
			sc.owned = append(sc.owned, o)
		}
	}
	return nil
}

// argument is what differs from scope to scope, built if it is not there yet. Without a value there is nothing to set.
func (sc *Scope) argument(ctx context.Context, v *varying, me build) (value reflect.Value, err error) {
	switch v.kind {
	case fromContext:
		return reflect.ValueOf(context.Context(&frame{ctx, sc, me})), nil
	case fromScope:
		return reflect.ValueOf(sc), nil
	case fromTasks:
		return reflect.ValueOf(sc.Tasks()), nil
	}
	s := &sc.slots[v.slot]
	if !s.ready() {
		if v.optional && sc.scopes.plan.slots[v.slot].unit == nil {
			return value, nil // a Value that this scope was begun without
		}
		if err := sc.provide(ctx, v.slot, me); err != nil {
			return value, err
		}
	}
	return s.value, nil
}
