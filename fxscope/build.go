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
		case !sc.slots[i].ready.Load():
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
	home := int32(sc.scopes.plan.slots[i].unit.home())
	state := &sc.slots[home]
	for {
		sc.mu.Lock()
		switch {
		case sc.over.Load():
			sc.mu.Unlock()
			return build{}, false, ErrEnded
		case sc.slots[i].ready.Load():
			sc.mu.Unlock()
			return build{}, true, nil
		case !state.building:
			state.building, state.asked, state.parent = true, int32(i), by
			state.attempt++
			me = build{home, state.attempt}
			sc.mu.Unlock()
			return me, false, nil
		}
		circle := sc.circle(by, home, nil)
		if circle != nil {
			sc.mu.Unlock()
			return build{}, false, fmt.Errorf("cycle at run time: %s", sc.scopes.plan.circle(circle))
		}
		w := state.wait(by)
		sc.mu.Unlock()
		if err := sc.await(ctx, w, by); err != nil {
			return build{}, false, err
		}
	}
}

// wait joins those who wait for the build of a unit. Call with mu held.
func (s *slot) wait(by build) *waiting {
	if s.waiting == nil {
		s.waiting = &waiting{done: make(chan struct{})}
	}
	if by != (build{}) {
		s.waiting.builds = append(s.waiting.builds, by)
	}
	return s.waiting
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
// slots from target to by, or nil. Every edge is walked, that of who builds for another and that of who waits for another, so the last
// one that would close a circle finds it. Call with mu held.
func (sc *Scope) circle(by build, target int32, seen []build) []int {
	if !sc.active(by) || slices.Contains(seen, by) {
		return nil
	}
	state := &sc.slots[by.home]
	if by.home == target {
		return []int{int(state.asked)}
	}
	seen = append(seen, by)
	needed := []build{state.parent}
	if state.waiting != nil {
		needed = append(needed, state.waiting.builds...)
	}
	for _, b := range needed {
		if path := sc.circle(b, target, seen); path != nil {
			return append(path, int(state.asked))
		}
	}
	return nil
}

// active tells whether a build still goes on. A context that outlived the construction it was for belongs to none.
func (sc *Scope) active(b build) bool {
	return b != build{} && sc.slots[b.home].building && sc.slots[b.home].attempt == b.attempt
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
	sc.mu.Lock()
	if err == nil && sc.over.Load() {
		err = ErrEnded
	}
	if err != nil && b.objects != nil {
		sc.mu.Unlock()
		err = sc.discard(b.objects, err)
		sc.mu.Lock()
	}
	if err == nil {
		for i, at := range u.slots {
			if s := &sc.slots[at]; !s.ready.Load() { // it is, where With stands in for one of several results
				s.value = b.results[i]
				s.ready.Store(true)
			}
		}
		for _, o := range b.objects {
			if o.hooks&endHooks != 0 {
				sc.owned = append(sc.owned, o)
			}
		}
	}
	state := &sc.slots[me.home]
	state.building = false
	w := state.waiting
	state.waiting = nil
	sc.mu.Unlock()
	if w != nil {
		w.err = err
		close(w.done)
	}
	return err
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
	if !s.ready.Load() {
		if v.optional && sc.scopes.plan.slots[v.slot].unit == nil {
			return value, nil // a Value that this scope was begun without
		}
		if err := sc.provide(ctx, v.slot, me); err != nil {
			return value, err
		}
	}
	return s.value, nil
}
