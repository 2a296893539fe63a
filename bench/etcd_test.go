package bench_test

import (
	"context"
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// BenchmarkE5 is Get and Put through a managed client beside a raw one, in turns, so that a busy moment of the machine hits both. One
// iteration is one call through each; raw-ns and managed-ns are the medians, and managed/raw is the ratio that E5 bounds by 1.05.
func BenchmarkE5(b *testing.B) {
	s := etcdtest.Start(b)
	nop := zap.NewNop()
	raw := func(b *testing.B) *clientv3.Client {
		c, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints(), Logger: nop})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	managed := func(b *testing.B, cfg fxetcd.Config, opts ...fxetcd.Option) *clientv3.Client {
		cfg.Endpoints = s.Endpoints()
		c, err := fxetcd.NewClient(b.Context(), cfg, append(opts, fxetcd.WithLogger(nop))...)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	ctx := context.Background()
	calls := map[string]func(*clientv3.Client) error{
		"Get": func(c *clientv3.Client) error { _, err := c.Get(ctx, "key"); return err },
		"Put": func(c *clientv3.Client) error { _, err := c.Put(ctx, "key", "value"); return err },
	}
	for _, name := range []string{"Get", "Put"} {
		call := calls[name]
		b.Run(name+"/raw-raw", func(b *testing.B) { sideBySide(b, call, raw(b), raw(b)) }) // what the comparison itself is worth
		b.Run(name+"/managed", func(b *testing.B) { sideBySide(b, call, raw(b), managed(b, fxetcd.Config{})) })
		b.Run(name+"/traced", func(b *testing.B) {
			sideBySide(b, call, raw(b), managed(b, fxetcd.Config{},
				fxetcd.WithTracerProvider(trace.NewTracerProvider()), fxetcd.WithMeterProvider(metric.NewMeterProvider())))
		})
	}
}

// BenchmarkE5Allocs is the same by allocations, of which the client's share does not depend on the machine's load.
func BenchmarkE5Allocs(b *testing.B) {
	s := etcdtest.Start(b)
	ctx := context.Background()
	for _, managed := range []bool{false, true} {
		b.Run(fmt.Sprintf("managed=%v", managed), func(b *testing.B) {
			var c *clientv3.Client
			var err error
			if managed {
				c, err = fxetcd.NewClient(ctx, fxetcd.Config{Endpoints: s.Endpoints()}, fxetcd.WithLogger(zap.NewNop()))
			} else {
				c, err = clientv3.New(clientv3.Config{Endpoints: s.Endpoints(), Logger: zap.NewNop()})
			}
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Get(ctx, "key"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStart100Clients is an application with a hundred instances, from fx.New to the end of Stop, and the same with raw clients
// one after the other. Each reaches the server once.
func BenchmarkStart100Clients(b *testing.B) {
	s := etcdtest.Start(b)
	const n = 100
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			var all []*clientv3.Client
			for range n {
				c, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints(), Logger: zap.NewNop()})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := c.Get(b.Context(), "health"); err != nil {
					b.Fatal(err)
				}
				all = append(all, c)
			}
			for _, c := range all {
				_ = c.Close()
			}
		}
	})
	b.Run("managed", func(b *testing.B) {
		clients := map[string]any{}
		for i := range n {
			clients[fmt.Sprint("client", i)] = map[string]any{"endpoints": s.Endpoints()}
		}
		for b.Loop() {
			app := fx.New(fx.NopLogger, fx.Supply(zap.NewNop()), fxetcd.Module,
				fxconfig.From(fxconfig.Value("etcd.clients", clients)))
			if err := app.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := app.Stop(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
