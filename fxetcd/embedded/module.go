package embedded

import (
	"context"
	"fmt"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// section is where the server's configuration stands.
const section = "etcd.embedded"

// Module runs a server in the application, configured in section etcd.embedded, and provides it as *Server and as fxetcd.EndpointSource:
// clients without endpoints connect to it. It starts before them, and stops after them. It takes *fxconfig.Config and *zap.Logger
// where the application provides them. If the server meets an error that it cannot go on with, the application is shut down with exit code 1.
var Module = fx.Module("etcd.embedded",
	fx.Provide(
		newManaged,
		func(s *Server) fxetcd.EndpointSource { return s },
	),
	fx.Invoke(func(*Server) {}),
)

type params struct {
	fx.In

	Lifecycle  fx.Lifecycle
	Shutdowner fx.Shutdowner
	Config     *fxconfig.Config `optional:"true"`
	Log        *zap.Logger      `optional:"true"`
}

func newManaged(p params) (*Server, error) {
	var cfg Config
	if p.Config != nil {
		if err := p.Config.Decode(&cfg, section); err != nil {
			return nil, fmt.Errorf("embedded: configuration: %w", withLevels(err))
		}
	}
	s, err := newServer(cfg, WithLogger(p.Log))
	if err != nil {
		return nil, err
	}
	if p.Config != nil {
		s.origin = func(key string) string { return p.Config.Origin(section + "." + key) }
	}
	watched := make(chan struct{})
	close(watched)
	return fxlifecycle.Manage(p.Lifecycle, s, fxlifecycle.WithName("embedded etcd"), fxlifecycle.WithHooks(fxlifecycle.Hooks{
		Init: func(ctx context.Context) error {
			if err := s.start(ctx); err != nil {
				return err
			}
			watched = make(chan struct{})
			go func() {
				defer close(watched)
				select {
				case <-s.stopping:
				case <-s.fatal:
					_ = p.Shutdowner.Shutdown(fx.ExitCode(1))
				}
			}()
			return nil
		},
		Destroy: func(ctx context.Context) error {
			err := s.Stop(ctx)
			<-watched
			return err
		},
	}))
}
