package fxfactory

import (
	"context"
	"sync"
	"sync/atomic"
)

// The states of an instance, and what moves it from one to the next:
//
//	             ┌─ fails ─▶ gone, or out
//	(creating) ──┴─▶ created ─▶ starting ─▶ ready ─▶ retiring ─┐
//	                    │           │         │                ├─▶ destroying ─▶ destroyed
//	                    └───────────┴─────────┴────────────────┘
//
//	creating    Spec.Create runs. There is no instance value yet: a flight or the startup stands for it. Whoever waits may leave; if
//	            nobody waits any more, or the factory stops, a value that comes all the same goes straight to destroying.
//	created     Create returned. Before the factory's Start it is in the table; after it, still known to its builder only.
//	starting    Spec.Start runs. A failure goes to destroying, and then, for a configured Low instance, its name is out.
//	ready       Start succeeded, or there is none.
//	retiring    Replaced. No lookup gives it, those who hold it may still use it, a timer or Stop destroys it.
//	destroying  Claimed for destruction, by exactly one goroutine: it ends the contexts of a Start and of Checks that run on the
//	            instance, waits until they have returned, and calls Spec.Destroy. Nothing begins on the instance any more.
//	destroyed   Destroy has returned.
//
// Out is a state of a name, not of an instance: a record with a configuration, its last error, and no instance. A retry, GetOrCreate or
// Replace builds it anew (creating); Remove and Stop end it.
type state uint8

const (
	created state = iota
	starting
	ready
	retiring
	destroying
	destroyed
)

// An instance is one value that Spec.Create returned, on its way through the states.
type instance[T any] struct {
	// What Get reads comes first, to share a cache line.
	live  atomic.Bool // a lookup may hand it out
	value T

	name     string
	priority Priority

	mu      sync.Mutex
	state   state
	running map[*use]struct{} // the Start or Checks that run on it; nil where none does
	idle    chan struct{}     // made by the destroyer if it has to wait, closed by the last of running
	done    chan struct{}     // made by the destroyer, closed when destroyed
}

// A use is user code that runs on an instance. Its context ends with that of whoever asked for it, and when the instance is to be destroyed.
type use struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	left   bool          // who asked for it has left
	over   chan struct{} // closed when the user's code has returned
}

// begin enters a use; nil: the instance is being destroyed, and nothing may run on it. Whoever asked for it calls leave when it waits no
// longer, and end is called when the user's code has returned.
func (in *instance[T]) begin(ctx context.Context, becomes state) *use {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.state >= destroying {
		return nil
	}
	in.state = max(in.state, becomes)
	u := &use{over: make(chan struct{})}
	u.ctx, u.cancel = context.WithCancelCause(ctx)
	if in.running == nil {
		in.running = make(map[*use]struct{}, 1)
	}
	in.running[u] = struct{}{}
	return u
}

func (in *instance[T]) leave(u *use) {
	u.cancel(nil)
	in.mu.Lock()
	defer in.mu.Unlock()
	u.left = true
}

// stuck gives a use that still runs though nobody waits for it, or nil.
func (in *instance[T]) stuck() *use {
	in.mu.Lock()
	defer in.mu.Unlock()
	for u := range in.running {
		if u.left {
			return u
		}
	}
	return nil
}

func (in *instance[T]) end(u *use) {
	in.mu.Lock()
	defer in.mu.Unlock()
	close(u.over)
	delete(in.running, u)
	if len(in.running) > 0 {
		return
	}
	in.running = nil
	if in.idle != nil {
		close(in.idle)
	}
}

// advance moves to a later state, unless the instance is being destroyed.
func (in *instance[T]) advance(to state) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.state < destroying {
		in.state = max(in.state, to)
	}
}

// busy says whether user code runs on the instance.
func (in *instance[T]) busy() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.running != nil
}

// gone says whether the instance is being destroyed or has been.
func (in *instance[T]) gone() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.state >= destroying
}

// claim makes the caller the one who destroys the instance, if mine, and ends what runs on it with cause. The caller waits for idle,
// if there is one, destroys, and calls finish. Everybody else may wait for done.
func (in *instance[T]) claim(cause error) (idle, done <-chan struct{}, mine bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.state >= destroying {
		return nil, in.done, false
	}
	in.live.Store(false)
	in.state = destroying
	in.done = make(chan struct{})
	for u := range in.running {
		u.cancel(cause)
	}
	if in.running != nil {
		in.idle = make(chan struct{})
	}
	return in.idle, in.done, true
}

func (in *instance[T]) finish() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.state = destroyed
	close(in.done)
}
