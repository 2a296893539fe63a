package fxetcd

import (
	"context"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxfactory"
)

// Section is where the configuration of the instances stands.
const section = "etcd"

// concurrency is how many instances are started at once. What they do is wait.
const concurrency = 128

// Factory holds the application's clients.
type Factory = fxfactory.Factory[*clientv3.Client, Config]

// Module provides the *Factory of the clients in section etcd, and the default one as *clientv3.Client. Without configuration there is
// one, "default", at the server of an EndpointSource such as embedded.Module's, or else at 127.0.0.1:2379.
//
// It takes from the application, if they are there: a *zap.Logger, an EndpointSource, a trace.TracerProvider and a metric.MeterProvider.
var Module = fxfactory.Module[*clientv3.Client, Config](section, newSpec,
	fxfactory.Keys("embedded", "exclusive", "registry"), fxfactory.Concurrency(concurrency))

// Named provides a *clientv3.Client under name:"<name>" for each name given.
func Named(names ...string) fx.Option {
	return fxfactory.Named[*clientv3.Client, Config](names...)
}

// Params are what the clients take from the application.
type params struct {
	fx.In

	Log    *zap.Logger          `optional:"true"`
	Source EndpointSource       `optional:"true"`
	Tracer trace.TracerProvider `optional:"true"`
	Meter  metric.MeterProvider `optional:"true"`
}

func newSpec(p params) fxfactory.Spec[*clientv3.Client, Config] {
	s := surroundings{log: p.Log, source: p.Source, tracer: p.Tracer, meter: p.Meter, logins: new(logins)}
	var clients sync.Map // of *clientv3.Client to the *instance that it belongs to
	of := func(c *clientv3.Client) *instance {
		i, _ := clients.Load(c)
		return i.(*instance)
	}
	return fxfactory.Spec[*clientv3.Client, Config]{
		Create: func(_ context.Context, name string, cfg Config) (*clientv3.Client, error) {
			i, err := s.create(name, cfg)
			if err != nil {
				return nil, err
			}
			clients.Store(i.client, i)
			return i.client, nil
		},
		Start: func(ctx context.Context, name string, c *clientv3.Client) error {
			return of(c).start(ctx)
		},
		Check: func(ctx context.Context, c *clientv3.Client) error {
			return of(c).check(ctx)
		},
		Destroy: func(ctx context.Context, c *clientv3.Client) error {
			i := of(c)
			clients.Delete(c)
			return i.destroy(ctx)
		},
		Default: (*Config).fillDefaults,
		Fallback: map[string]func(*Config){"default": func(c *Config) {
			if s.source == nil && len(c.Endpoints) == 0 {
				c.Endpoints = []string{"127.0.0.1:2379"}
			}
		}},
	}
}
