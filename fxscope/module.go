package fxscope

import (
	"fmt"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/internal/stderrlog"
)

// Module provides *Scopes, configured by section scope if there is an *fxconfig.Config. The tasks of scopes are groups of the
// application's *fxbackground.Runner; without one Scopes has a Runner of its own, with fxbackground's defaults. What nobody is there to be
// told goes to the *zap.Logger, or as warnings and errors to standard error.
var Module fx.Option = fx.Module("fxscope", fx.Provide(provideScopes, func() *installed { return &installed{} }))

type moduleParams struct {
	fx.In

	Lifecycle fx.Lifecycle
	Declared  []*bound `group:"fxscope.declared"`
	Graph     fx.DotGraph
	Config    *fxconfig.Config     `optional:"true"`
	Log       *zap.Logger          `optional:"true"`
	Runner    *fxbackground.Runner `optional:"true"`
}

func provideScopes(p moduleParams) (*Scopes, error) {
	cfg := DefaultConfig()
	if p.Config != nil {
		if err := p.Config.Decode(&cfg, "scope"); err != nil {
			return nil, fmt.Errorf("fxscope: configuration: %w", err)
		}
	}
	s := newScopes(cfg, stderrlog.Or(p.Log), p.Runner)
	if s.runner == nil {
		runner, err := fxbackground.New(fxbackground.DefaultConfig(), fxbackground.WithLogger(s.log))
		if err != nil {
			return nil, fmt.Errorf("fxscope: a runner for the tasks of scopes: %w", err)
		}
		s.runner, s.ownRunner = runner, true
	}
	plan, err := newPlan(p.Declared, s, string(p.Graph))
	if err != nil {
		return nil, err
	}
	s.plan = plan
	// Scopes depends on every singleton that scoped constructors use, so it is stopped before any of them.
	return fxlifecycle.Manage(p.Lifecycle, s, fxlifecycle.WithHooks(fxlifecycle.Hooks{PreDestroy: s.stop, Destroy: s.kill}))
}
