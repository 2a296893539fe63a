package fxbackground

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// ConfigPath is the section of the configuration that Module reads.
const ConfigPath = "backgroundTask"

// Module provides a *[Runner] from section backgroundTask, or from [DefaultConfig] in an application without an
// *fxconfig.Config. It logs to the application's *zap.Logger, if there is one.
//
// The Runner drains when the application stops. With fxlifecycle.Coordinate that is before any client or connection is
// closed, wherever Module is listed. Without it, the drain is an ordinary OnStop hook: it comes after the OnStop
// hooks of what was built after the Runner and before those of what was built earlier. So take the Runner as a
// dependency, after what the tasks use, and list no client behind it.
//
// Supervised loops begin when fxlifecycle's Coordinator is ready; without one, when the Runner's own OnStart hook runs.
var Module fx.Option = fx.Module("fxbackground", fx.Provide(newManaged))

type params struct {
	fx.In

	Lifecycle   fx.Lifecycle
	Shutdowner  fx.Shutdowner
	Config      *fxconfig.Config         `optional:"true"`
	Logger      *zap.Logger              `optional:"true"`
	Coordinator *fxlifecycle.Coordinator `optional:"true"`
}

func newManaged(p params) (*Runner, error) {
	cfg := DefaultConfig()
	if p.Config != nil {
		if err := p.Config.Decode(&cfg, ConfigPath); err != nil {
			return nil, fmt.Errorf("fxbackground: %w", err)
		}
	}
	r, err := New(cfg, WithLogger(p.Logger))
	if err != nil {
		return nil, err
	}
	r.supervisor.ready = false
	r.supervisor.shutdown = func() error { return p.Shutdowner.Shutdown(fx.ExitCode(1)) }
	return fxlifecycle.Manage(p.Lifecycle, r,
		fxlifecycle.WithHooks(r.hooks(p.Coordinator)),
		fxlifecycle.WithStopTimeout(cfg.stopTimeout()))
}

func (r *Runner) hooks(c *fxlifecycle.Coordinator) fxlifecycle.Hooks {
	var drained atomic.Bool
	return fxlifecycle.Hooks{
		Init: func(context.Context) error {
			if c == nil {
				r.supervisor.start()
				return nil
			}
			go func() {
				select {
				case <-c.Ready():
					r.supervisor.start()
				case <-r.supervisor.group.ctx.Done():
				}
			}()
			return nil
		},
		PreDestroy: func(ctx context.Context) error {
			drained.Store(true)
			return r.Drain(ctx)
		},
		Destroy: func(ctx context.Context) error {
			if drained.Load() {
				return nil
			}
			// Start has failed. What its hooks submitted may use what they never opened.
			return drainWithin(ctx, r, 0, r.cfg.Grace)
		},
	}
}

// stopTimeout is what a drain may take of an application's stop: its timeout and grace, whole. A hook's context ends a
// tenth before its share does, and graceEnds keeps a little distance from that.
//
// fxlifecycle shrinks claims in proportion where there is not time for all, so an infinite one would leave others nothing.
func (c Config) stopTimeout() time.Duration {
	const most = 10 * time.Minute
	if c.Timeout > most-c.Grace {
		return most
	}
	return (c.Timeout+c.Grace)*10/9 + 50*time.Millisecond
}
