package fxscope

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fxkit/fxkit/internal/phase"
)

// stop is the PreDestroy of Scopes. No scope begins any more; those that live may go on for three quarters of the time
// there is, and are then ended by force in the rest.
func (s *Scopes) stop(ctx context.Context) error {
	s.closed.Store(true)
	budget := phase.BudgetOf(ctx, s.cfg.EndTimeout)
	wait, cancel := context.WithDeadline(ctx, budget.ThreeQuarters())
	defer cancel()
	for s.Live() > 0 {
		select {
		case <-s.woken:
			continue
		case <-wait.Done():
		}
		break
	}
	return errors.Join(s.force(ctx, budget.End), s.drainOwn(ctx))
}

// kill is the Destroy of Scopes, and does what is left to do where start failed: stop did not run, so nobody waits.
func (s *Scopes) kill(ctx context.Context) error {
	s.closed.Store(true)
	budget := phase.BudgetOf(ctx, s.cfg.EndTimeout)
	return errors.Join(s.force(ctx, budget.End), s.drainOwn(ctx))
}

// force ends all live scopes at once, and counts them.
func (s *Scopes) force(ctx context.Context, end time.Time) error {
	var left []*Scope
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for sc := shard.first; sc != nil; sc = sc.siblings.next {
			left = append(left, sc)
		}
		shard.mu.Unlock()
	}
	if len(left) == 0 {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	errs := make([]error, len(left))
	var all sync.WaitGroup
	for i, sc := range left {
		all.Go(func() { errs[i] = sc.End(ctx) })
	}
	all.Wait()
	noun := "scopes were"
	if len(left) == 1 {
		noun = "scope was"
	}
	err := fmt.Errorf("fxscope: stop: %d %s still live and had to be ended by force", len(left), noun)
	return errors.Join(append([]error{err}, errs...)...)
}

func (s *Scopes) drainOwn(ctx context.Context) error {
	if !s.ownRunner {
		return nil
	}
	return s.runner.Drain(ctx)
}
