package fxetcd

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A watchdog ends one call that takes too long. The server is not told of the deadline, and so need not keep one of its own; it learns of
// the end by the end. And a watchdog that had nothing to do serves the next call, with its timer, its channel, and its list of the contexts that are
// made from its own: most of what context.WithTimeout costs.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer
	fired  atomic.Bool
	serves bool // one call after the other
}

func newWatchdog(ctx context.Context, timeout time.Duration) *watchdog {
	w := new(watchdog)
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.timer = time.AfterFunc(timeout, w.bite)
	return w
}

func (w *watchdog) bite() {
	w.fired.Store(true)
	w.cancel()
}

// watchdogs are those that wait for a call.
type watchdogs struct{ pool sync.Pool }

// watch gives a call a watchdog, which must be released, and its context.
func (all *watchdogs) watch(ctx context.Context, timeout time.Duration) (context.Context, *watchdog) {
	if ctx.Done() != nil { // the caller may end the call, too
		w := newWatchdog(ctx, timeout)
		return w.ctx, w
	}
	w, _ := all.pool.Get().(*watchdog)
	if w == nil {
		w = newWatchdog(context.Background(), timeout)
		w.serves = true
	} else {
		w.timer.Reset(timeout)
	}
	return &watched{w.ctx, ctx}, w
}

// release ends the watch, and tells whether the call took too long.
func (all *watchdogs) release(w *watchdog) (late bool) {
	if w.timer.Stop() && w.serves {
		all.pool.Put(w)
		return false
	}
	w.cancel()
	return w.fired.Load()
}

// watched is the context of a call whose caller's never ends: the watchdog's, with the caller's values.
type watched struct {
	context.Context
	values context.Context
}

func (c *watched) Value(key any) any {
	// The watchdog's context has one value: itself, for contexts that are made from it. Without that each would take a goroutine.
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}
