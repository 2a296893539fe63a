package registry

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// announceWithin is how long start waits until the configured instances are listed. After that they are still retried.
const announceWithin = 5 * time.Second

// Module provides *Registry, on the application's default *clientv3.Client, with the configuration in section etcd.registry. It
// registers the services configured there when the application is ready, which with fxlifecycle.Coordinate is after every other start
// hook, and otherwise when the registry's own turn comes. When the application stops, all instances leave the list and the
// drainDelay passes, with Coordinate before anything else stops.
var Module = fx.Module(section,
	fx.Provide(newManaged),
	fx.Invoke(func(*Registry) {}),
)

type params struct {
	fx.In

	Lifecycle   fx.Lifecycle
	Client      *clientv3.Client
	Config      *fxconfig.Config         `optional:"true"`
	Log         *zap.Logger              `optional:"true"`
	Coordinator *fxlifecycle.Coordinator `optional:"true"`
}

func newManaged(p params) (*Registry, error) {
	var cfg Config
	if p.Config != nil {
		if err := p.Config.Decode(&cfg, section); err != nil {
			return nil, fmt.Errorf("registry: section %s: %w", section, err)
		}
	}
	r, err := New(p.Client, cfg, WithLogger(p.Log))
	if err != nil {
		return nil, err
	}
	hooks := fxlifecycle.Hooks{PreDestroy: r.Leave, Destroy: r.Stop}
	if p.Coordinator != nil {
		p.Coordinator.OnReady(r.announce)
	} else {
		hooks.Init = r.announce
	}
	return fxlifecycle.Manage(p.Lifecycle, r, fxlifecycle.WithName(section), fxlifecycle.WithHooks(hooks),
		fxlifecycle.StopsFirst(), fxlifecycle.WithStopTimeout(cfg.DrainDelay+2*requestTimeout))
}

// announce registers the configured services. It fails if etcd refuses; if etcd does not answer it is enough that the registration goes on.
func (r *Registry) announce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, announceWithin)
	defer cancel()
	var all []*Registration
	for _, s := range r.cfg.Services {
		g, err := r.register(s.instance(), true)
		if err != nil {
			return err
		}
		all = append(all, g)
	}
	for _, g := range all {
		if err := g.settled(ctx, online); refused(err) {
			return g.failed("register", err)
		} else if err != nil {
			r.log.Warn("a configured instance is not listed yet; this is being retried", zap.String("instance", g.name), zap.Error(err))
		}
	}
	return nil
}
