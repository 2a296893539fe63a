package fxlifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fxkit/fxkit/internal/guard"
	"github.com/fxkit/fxkit/internal/phase"
)

// What is kept of the start deadline for the rollback (L7): Fx rolls nothing back once the deadline has passed.
const mostStartReserve = 3 * time.Second

var errStopBegan = errors.New("stop began before start was over")

// beginStart opens the phase and fixes until when start hooks may run.
func (c *Coordinator) beginStart(ctx context.Context) error {
	if err := c.acquire(ctx); err != nil { // an earlier stop may still be at its last lines
		return err
	}
	defer c.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == Stopped && c.managed == 0 {
		c.again()
	}
	if c.phase != Constructing {
		return ErrStopped
	}
	c.phase = Starting
	c.boundStart(ctx)
	// A cancelled start returns to its caller at once, and Fx runs none of the rollback.
	c.unwatch = context.AfterFunc(ctx, func() { c.finish(ctx) })
	return nil
}

// boundStart makes the one context of all start hooks. It outlives them, because there are hooks that keep what Fx gives them
// for what they leave running; it ends with the time for start, with the context that Fx got, or when stop begins.
func (c *Coordinator) boundStart(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	if !ok {
		c.giveUp = time.Time{}
		c.startCtx, c.cancel = context.WithCancel(ctx)
		return
	}
	reserve := min(time.Until(deadline)/4, mostStartReserve)
	bound := deadline.Add(-reserve)
	c.startCtx, c.cancel = context.WithDeadline(ctx, bound)
	// A tenth of the reserve lets a hook that honours its context say itself why it failed.
	c.giveUp = bound.Add(reserve / 10)
}

// again makes ready for another start where nothing was destroyed: foreign hooks may well bear it, and Fx allows it.
func (c *Coordinator) again() {
	c.phase = Constructing
	c.passed = 0
	c.ready = make(chan struct{})
	c.stop = stopRun{}
}

// A startCall is a start hook that runs.
type startCall struct {
	entry  *entry
	hook   string
	began  time.Time
	done   chan struct{} // closed when the hook has returned err
	err    error
	left   chan struct{} // closed when stop has waited for it long enough
	behind bool          // nobody waits for it any more; this and late guarded by the coordinator's mu
	late   bool          // start no longer did when it returned: its success does not count
}

// start is the entry's OnStart in Fx.
func (e *entry) start(ctx context.Context) error {
	if err := e.c.runStart(e, e.startName(), e.hooks.Init); err != nil {
		return err
	}
	return e.c.advance(ctx, e.index+1)
}

// advance notes that start has passed the entries before next, and those after it that have nothing to start.
// After the last one the application is ready.
func (c *Coordinator) advance(ctx context.Context, next int) error {
	c.mu.Lock()
	if c.phase != Starting {
		c.mu.Unlock()
		return fmt.Errorf("fxlifecycle: start: %w", errStopBegan)
	}
	for next < len(c.entries) && c.entries[next].hooks.Init == nil {
		next++
	}
	c.passed = max(c.passed, next)
	last := next == len(c.entries)
	c.mu.Unlock()
	if !last {
		return nil
	}
	return c.becomeReady(ctx)
}

// runStart runs a start hook until it returns or there is no time left for it.
func (c *Coordinator) runStart(e *entry, hook string, fn func(context.Context) error) error {
	c.mu.Lock()
	if c.phase != Starting {
		c.mu.Unlock()
		return e.wrap(hook, errStopBegan)
	}
	hookCtx := c.startCtx
	if err := hookCtx.Err(); err != nil {
		c.mu.Unlock()
		return e.wrap(hook, fmt.Errorf("not run, the time for start was over: %w", err))
	}
	call := &startCall{entry: e, hook: hook, began: time.Now(), done: make(chan struct{}), left: make(chan struct{})}
	c.running = call
	giveUp := c.giveUp
	c.mu.Unlock()

	r := e.newRecord(hook)
	go c.runCall(hookCtx, call, r, fn)

	select {
	case <-call.done:
	case <-hookCtx.Done():
		c.awaitEnded(call, giveUp)
	}
	return c.settle(call, r)
}

func (c *Coordinator) runCall(ctx context.Context, call *startCall, r *record, fn func(context.Context) error) {
	err := guard.ErrGoexit
	defer func() {
		c.mu.Lock()
		call.err = err
		behind := call.behind
		c.mu.Unlock()
		close(call.done)
		if behind {
			call.entry.returnedLate(call.hook, err, time.Since(call.began))
		}
	}()
	fn = r.around(fn)
	err = guard.Call(func() error { return fn(ctx) })
}

// awaitEnded waits for a hook whose context has ended: until giveUp where start had a deadline, else until stop, which is what
// ended the context then, has waited its share.
func (c *Coordinator) awaitEnded(call *startCall, giveUp time.Time) {
	var late <-chan time.Time
	if !giveUp.IsZero() {
		timer := time.NewTimer(time.Until(giveUp))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-call.done:
	case <-call.left:
	case <-late:
	}
}

// settle is what a start hook that has returned, or for which start waits no longer, means for start.
func (c *Coordinator) settle(call *startCall, r *record) error {
	e, ran := call.entry, time.Since(call.began)
	c.mu.Lock()
	returned := call.finished()
	err := call.err
	stopBegan := c.phase != Starting
	timedOut := errors.Is(c.startCtx.Err(), context.DeadlineExceeded)
	if returned && !stopBegan {
		c.running = nil
		if err == nil {
			c.passes(call)
		}
	}
	call.late = !returned
	c.mu.Unlock()

	switch {
	case returned && err == nil && !stopBegan:
		return nil
	case returned && err == nil:
		return e.wrap(call.hook, errStopBegan)
	case returned && timedOut:
		return fmt.Errorf("fxlifecycle: %s %q of %s: failed after %s, when the time for start was over (its deadline less what a rollback needs): %w",
			call.hook, e.objectOf(call.hook), e.caller(), phase.Round(ran), err)
	case returned:
		return e.wrap(call.hook, err)
	}
	err = fmt.Errorf("fxlifecycle: %s %q of %s: did not return, still running after %s although its context has ended: %w",
		call.hook, e.objectOf(call.hook), e.caller(), phase.Round(ran), context.Cause(c.startCtx))
	r.endWithout(err)
	return err
}

// passes notes that a start hook has succeeded.
func (c *Coordinator) passes(call *startCall) {
	if call.hook != onReady {
		c.passed = max(c.passed, call.entry.index+1)
	}
}

func (call *startCall) finished() bool {
	select {
	case <-call.done:
		return true
	default:
		return false
	}
}
