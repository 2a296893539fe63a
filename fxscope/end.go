package fxscope

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/phase"
)

// End ends the scope: it waits for its tasks, within three quarters of the time there is, calls PreDestroy of all its objects
// and then Destroy of all, each in the reverse order of construction. The time is the configured endTimeout or that to ctx's
// deadline, whichever is shorter, and every hook has a share of what is left: one that outlives its share is left behind. Where
// ctx is cancelled the tasks are too; the hooks run all the same, with contexts of their own.
//
// It returns every error of a hook, and names the tasks and hooks that were left behind. It runs once: a second call waits for
// the first, as long as its own ctx lives, and returns the same.
func (sc *Scope) End(ctx context.Context) error {
	sc.mu.Lock()
	switch sc.state {
	case ended:
		defer sc.mu.Unlock()
		return sc.endErr
	case ending:
		return sc.awaitEnd(ctx)
	}
	if sc.idle() {
		sc.finish(nil)
		return nil
	}
	sc.state = ending
	tasks := sc.tasks
	if tasks == nil {
		sc.over.Store(true)
	}
	sc.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, sc.scopes.cfg.EndTimeout)
	defer cancel()
	budget := phase.BudgetOf(ctx, sc.scopes.cfg.EndTimeout)
	var errs []error
	if tasks != nil {
		drain, cancel := context.WithDeadline(ctx, budget.ThreeQuarters())
		errs = append(errs, tasks.Drain(drain))
		cancel()
	}
	sc.mu.Lock()
	sc.over.Store(true)
	owned := sc.owned
	sc.owned = nil
	sc.mu.Unlock()
	errs = append(errs, sc.destroy(owned, budget.End)...)

	err := errors.Join(errs...)
	if err != nil {
		err = fmt.Errorf("fxscope: end scope %s: %w", sc.ID(), err)
	}
	sc.mu.Lock()
	sc.finish(err)
	return err
}

// Release ends the scope without making its caller wait, and logs what End would have returned. Whoever answers requests by
// other means than Middleware and grpcscope calls it when the answer has been given.
func (sc *Scope) Release() {
	sc.mu.Lock()
	switch {
	case sc.state != live || sc.released:
		sc.mu.Unlock()
	case sc.idle():
		sc.finish(nil) // most scopes: not worth a goroutine
	default:
		sc.released = true
		sc.mu.Unlock()
		go func() {
			if err := sc.End(context.WithoutCancel(sc.root.Context)); err != nil {
				sc.scopes.logEnd(sc, err)
			}
		}()
	}
}

// idle tells whether there is nothing to do at the end. Call with mu held.
func (sc *Scope) idle() bool { return sc.tasks == nil && sc.owned == nil }

// finish makes the scope an ended one. Call with mu held; it lets go of it.
func (sc *Scope) finish(err error) {
	sc.over.Store(true)
	sc.state, sc.endErr = ended, err
	done := sc.endDone
	sc.mu.Unlock()
	sc.scopes.remove(sc)
	if done != nil {
		close(done)
	}
}

// awaitEnd waits for an End that somebody else has begun. Call with mu held; it lets go of it.
func (sc *Scope) awaitEnd(ctx context.Context) error {
	if sc.endDone == nil {
		sc.endDone = make(chan struct{})
	}
	done := sc.endDone
	sc.mu.Unlock()
	select {
	case <-done:
		sc.mu.Lock()
		defer sc.mu.Unlock()
		return sc.endErr
	case <-ctx.Done():
		return fmt.Errorf("fxscope: end scope %s: waiting for the End that has begun already: %w", sc.ID(), context.Cause(ctx))
	}
}

// destroy runs PreDestroy of all objects and then Destroy of all, from the last to the first.
func (sc *Scope) destroy(objects []*object, end time.Time) []error {
	if len(objects) == 0 {
		return nil
	}
	type step struct {
		*object
		hook string
		run  func(context.Context) error
	}
	var steps []step
	for _, o := range slices.Backward(objects) {
		if run := o.preDestroy(); run != nil {
			steps = append(steps, step{o, "PreDestroy", run})
		}
	}
	for _, o := range slices.Backward(objects) {
		if run := o.destroy(); run != nil {
			steps = append(steps, step{o, "Destroy", run})
		}
	}
	shares := phase.NewShares(time.Now(), end)
	for range steps {
		shares.Add(0)
	}
	ctx := context.WithoutCancel(context.Context(&sc.root))
	var errs []error
	for _, s := range steps {
		late := func(err error, ran time.Duration) {
			sc.scopes.log.Warn("fxscope: a hook that was left behind has returned", zap.String("scope", sc.ID()),
				zap.String("hook", s.hook), zap.Stringer("object", s.key), zap.Duration("after", ran), zap.Error(err))
		}
		if err := phase.Run(ctx, shares.Next(0), s.run, late); err != nil {
			errs = append(errs, fmt.Errorf("%s of %v from %s: %w", s.hook, s.key, s.where, err))
		}
	}
	return errs
}

// discard destroys objects that nobody was given.
func (sc *Scope) discard(objects []*object, why error) error {
	budget := phase.BudgetOf(context.Background(), sc.scopes.cfg.EndTimeout)
	errs := sc.destroy(objects, budget.End)
	if len(errs) == 0 {
		return why
	}
	return fmt.Errorf("%w; and then: %w", why, errors.Join(errs...))
}
