package fxlifecycle

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/phase"
)

// A stopRun is the state of the one stop of an application. Whoever holds the coordinator's slot uses it.
type stopRun struct {
	begun    bool
	next     int           // entries[next] is stopped next, then those before it
	shares   *phase.Shares // of phase two
	failures []error       // that nobody has got yet
	logged   int           // how many of them are in the log
}

// stop is the entry's OnStop in Fx.
func (e *entry) stop(ctx context.Context) error { return e.c.stopDownTo(ctx, e.index) }

// stopDownTo runs what is left of stop down to an entry. Fx calls us for one hook after the other, in reverse, but not for
// the hook that failed start, nor those after it, nor for any once its context has ended: whoever comes first runs also
// what Fx has skipped, and whoever comes later finds it done. Fx's Stop, the rollback of a start that fails meanwhile, Close and the
// end of a context (finish) may meet here.
func (c *Coordinator) stopDownTo(ctx context.Context, index int) error {
	if err := c.acquire(ctx); err != nil {
		return nil // whoever holds the slot reports; Fx returns the context's error by itself
	}
	defer c.release()
	c.runStops(ctx, index)
	if ctx.Err() != nil {
		c.logFailures() // Fx drops them; Close still has them
		return nil
	}
	return c.takeFailures()
}

// finish does what Fx skips when the context of a start or stop ends midway.
func (c *Coordinator) finish(ctx context.Context) {
	c.slot <- struct{}{} // bounded: who holds it has shares
	defer c.release()
	if c.Phase() == Running {
		return // start was over before its context was
	}
	detached := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) > 0 {
		var cancel context.CancelFunc
		detached, cancel = context.WithDeadline(detached, deadline)
		defer cancel()
	}
	c.runStops(detached, 0)
	c.logFailures()
}

func (c *Coordinator) acquire(ctx context.Context) error {
	select {
	case c.slot <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Coordinator) release() { <-c.slot }

func (c *Coordinator) takeFailures() error {
	err := errors.Join(c.stop.failures...)
	c.stop.failures, c.stop.logged = nil, 0
	return err
}

func (c *Coordinator) logFailures() {
	for _, err := range c.stop.failures[c.stop.logged:] {
		c.log().Error("fxlifecycle: a hook failed in a stop that nobody waits for", zap.Error(err))
	}
	c.stop.logged = len(c.stop.failures)
}

func (c *Coordinator) fail(err error) {
	if err != nil {
		c.stop.failures = append(c.stop.failures, err)
	}
}

// runStops stops the entries from the last one not stopped yet down to index, after phase one.
func (c *Coordinator) runStops(ctx context.Context, index int) {
	if !c.stop.begun {
		c.stop.begun = true
		c.phaseOne(ctx)
	}
	for c.stop.next >= index && c.stop.next >= 0 {
		e := c.entries[c.stop.next]
		c.stop.next--
		if c.stops(e) {
			c.fail(e.runStop(ctx, e.stopName(), e.hooks.Destroy, c.stop.shares.Next(0)))
		}
	}
	if c.stop.next < 0 {
		c.mu.Lock()
		c.phase = Stopped
		c.unwatch()
		c.mu.Unlock()
	}
}

// stops tells whether the entry has something to do in phase two. An object is destroyed in any case; a foreign OnStop
// belongs to an OnStart that succeeded, as Fx has it.
func (c *Coordinator) stops(e *entry) bool {
	return e.hooks.Destroy != nil && (!e.foreign || e.index < c.passed)
}

// phaseOne ends start if it is under way, and runs PreDestroy of every object that start has passed. From here on the entries do not change.
func (c *Coordinator) phaseOne(ctx context.Context) {
	budget := phase.BudgetOf(ctx, c.stopBudget)
	c.mu.Lock()
	c.phase = Stopping
	call := c.running
	c.cancel()
	c.unwatch()
	c.unwatch = context.AfterFunc(ctx, func() { c.finish(ctx) })
	c.mu.Unlock()

	first := phase.NewShares(budget.Begin, budget.ThreeQuarters())
	if call != nil {
		first.Add(0)
	}
	announced := c.passed
	for _, e := range c.entries[:announced] {
		if c.drains(e) {
			first.Add(e.claim)
		}
	}
	if call != nil {
		c.awaitStart(call, first.Next(0))
	}
	for _, e := range c.entries[announced:c.passed] { // the hook has succeeded after all
		if c.drains(e) {
			first.Add(e.claim)
		}
	}
	for _, foremost := range []bool{true, false} {
		for i := len(c.entries) - 1; i >= 0; i-- {
			if e := c.entries[i]; c.drains(e) && e.first == foremost {
				c.fail(e.runStop(ctx, preDestroy, e.hooks.PreDestroy, first.Next(e.claim)))
			}
		}
	}

	c.stop.next = len(c.entries) - 1
	c.stop.shares = phase.NewShares(time.Now(), budget.End)
	for _, e := range c.entries {
		if c.stops(e) {
			c.stop.shares.Add(0)
		}
	}
}

func (c *Coordinator) drains(e *entry) bool {
	return e.hooks.PreDestroy != nil && e.index < c.passed
}

// awaitStart waits within its share for a start hook that still runs. Its context has ended.
func (c *Coordinator) awaitStart(call *startCall, share time.Duration) {
	timer := time.NewTimer(share)
	defer timer.Stop()
	select {
	case <-call.done:
	case <-timer.C:
	}
	c.mu.Lock()
	c.running = nil
	returned := call.finished()
	if returned && call.err == nil && !call.late {
		c.passes(call)
	}
	call.behind = !returned
	cause := context.Cause(c.startCtx)
	c.mu.Unlock()
	if !returned {
		close(call.left)
		c.fail(call.entry.failedStop(call.hook, &phase.LeftBehind{After: time.Since(call.began), Cause: cause}))
	}
}
