package fxlifecycle

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/internal/guard"
	"github.com/fxkit/fxkit/internal/phase"
)

// plain is an object in an application without a coordinator: one fx.Hook that does what it can alone (L9).
type plain struct {
	*entry
	destroyed atomic.Bool
}

func appendPlain(lc fx.Lifecycle, e *entry) {
	p := &plain{entry: e}
	lc.Append(fx.Hook{OnStart: p.start, OnStop: p.stop})
}

func (p *plain) start(ctx context.Context) error {
	if p.destroyed.Load() {
		return p.wrap(initialize, ErrStopped)
	}
	if p.hooks.Init == nil {
		return nil
	}
	err := guard.Call(func() error { return p.hooks.Init(ctx) })
	if err == nil {
		// Fx runs no OnStop for a hook that ends after its context, so success would leave the object open.
		err = context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx) // nobody waits, and Destroy deserves its time
	}
	return errors.Join(p.wrap(initialize, err), p.destroy(ctx, phase.BudgetOf(ctx, phase.Default)))
}

func (p *plain) stop(ctx context.Context) error {
	if p.destroyed.Load() {
		return nil // Fx does not ask for this, but there are other lifecycles
	}
	budget := phase.BudgetOf(ctx, phase.Default)
	first := phase.NewShares(budget.Begin, budget.ThreeQuarters())
	first.Add(p.claim)
	err := p.runStop(ctx, preDestroy, p.hooks.PreDestroy, first.Next(p.claim))
	return errors.Join(err, p.destroy(ctx, budget))
}

func (p *plain) destroy(ctx context.Context, budget phase.Budget) error {
	p.destroyed.Store(true)
	return p.runStop(ctx, destroy, p.hooks.Destroy, time.Until(budget.End))
}
