package fxlifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/phase"
	"github.com/fxkit/fxkit/internal/stderrlog"
)

// A Coordinator sees every hook of one application. Coordinate provides it; take it as a dependency to learn when the application
// is ready, what ran, and to clean up after an application that never started.
type Coordinator struct {
	stopBudget time.Duration
	logger     atomic.Pointer[zap.Logger]

	mu         sync.Mutex
	taken      bool // the option value belongs to an application
	stranger   bool // a second application asked for it
	shutdowner fx.Shutdowner
	phase      Phase
	entries    []*entry // in Fx's order, which is that of the dependencies
	managed    int      // how many of them are objects
	readiness  []*entry // OnReady functions that have not run
	ready      chan struct{}
	passed     int             // start has passed entries[:passed]
	running    *startCall      // the start hook that runs, or that start gave up waiting for
	startCtx   context.Context // of every start hook
	cancel     context.CancelFunc
	giveUp     time.Time // when start no longer waits for a hook whose context has ended; zero without a deadline
	unwatch    func() bool
	journal    []*record
	observers  []Observer

	slot chan struct{} // held while hooks of stop run: several goroutines may try to, see stopDownTo
	stop stopRun       // guarded by slot
}

func newCoordinator() *Coordinator {
	c := &Coordinator{stopBudget: phase.Default, ready: make(chan struct{}), slot: make(chan struct{}, 1), unwatch: func() bool { return true }, cancel: func() {}}
	c.logger.Store(stderrlog.Or(nil))
	return c
}

func (c *Coordinator) log() *zap.Logger { return c.logger.Load() }

// Phase is where the application stands. Running begins when Ready is closed.
func (c *Coordinator) Phase() Phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase
}

// Ready is closed when every OnStart hook and every OnReady function has succeeded. It is never closed if start fails.
func (c *Coordinator) Ready() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

// Close destroys whatever is left, as stop would: PreDestroy of what start has passed, then Destroy of all and the OnStop hooks that start
// has passed. It is for applications that Fx does not stop: after fx.New without Start, and after a Start or Stop whose context had ended (see
// the package's documentation). It waits for a stop that is under way, and does nothing after one that is complete.
//
// The time to ctx's deadline, or 15 s, is shared among the hooks. Close returns their errors, and those of an earlier stop that
// nobody has got; it is safe to call it twice, and from several goroutines.
func (c *Coordinator) Close(ctx context.Context) error {
	if err := c.acquire(ctx); err != nil {
		return fmt.Errorf("fxlifecycle: close: another stop is still under way: %w", err)
	}
	defer c.release()
	c.runStops(ctx, 0)
	return c.takeFailures()
}

// lifecycle is the fx.Lifecycle of a coordinated application.
type lifecycle struct {
	c       *Coordinator
	raw     fx.Lifecycle
	managed fx.Hook // carries the names that Fx's events show for managed objects
}

// Append takes a hook of somebody who knows nothing of us. Fx ignores hooks that are appended too late, which hides a mistake;
// there is no error to return here, so it is logged.
func (l *lifecycle) Append(h fx.Hook) {
	e := &entry{c: l.c, pc: callerPC(), foreign: true, hook: h, hooks: Hooks{Init: h.OnStart, Destroy: h.OnStop}}
	if err := l.append(e, withNames(h)); err != nil {
		l.c.log().Error("fxlifecycle: a hook was refused: Append works in constructors and in fx.Invoke, not once the application starts",
			zap.String("caller", e.caller()), zap.Stringer("phase", l.c.Phase()))
	}
}

// append gives the entry a place among the hooks. Of h only the names inside count, which Fx's events show.
func (l *lifecycle) append(e *entry, h fx.Hook) error {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.closed(e); err != nil {
		return err
	}
	e.index = len(c.entries)
	c.entries = append(c.entries, e)
	if !e.foreign {
		c.managed++
	}
	h.OnStart, h.OnStop = nil, nil
	if e.hooks.Init != nil {
		h.OnStart = e.start
	}
	if e.hooks.Destroy != nil {
		h.OnStop = e.stop
	}
	l.raw.Append(h)
	return nil
}

func (c *Coordinator) mayAppend(e *entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed(e)
}

// closed is why no entry is taken any more. The caller holds mu.
func (c *Coordinator) closed(e *entry) error {
	switch c.phase {
	case Constructing:
		return nil
	case Starting, Running:
		return e.tooLate("has begun to start")
	}
	return e.tooLate("has been stopped")
}

// begin is the OnStart of hook 0, which runs before all others.
func (c *Coordinator) begin(ctx context.Context) error {
	if err := c.beginStart(ctx); err != nil {
		return fmt.Errorf("fxlifecycle: start: %w", err)
	}
	err := c.advance(ctx, 0)
	if err != nil {
		// Fx stops nothing if the first hook fails.
		err = errors.Join(err, c.stopDownTo(ctx, 0))
	}
	return err
}

// end is the OnStop of hook 0, which runs after all others: for what Fx did not call us for.
func (c *Coordinator) end(ctx context.Context) error { return c.stopDownTo(ctx, 0) }
