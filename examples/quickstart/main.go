// Command quickstart is the program of README.md.
package main

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// A Greeter has hooks: Init when the application starts, PreDestroy before anything is closed.
type Greeter struct {
	etcd  *clientv3.Client
	tasks *fxbackground.Runner
}

func NewGreeter(lc fx.Lifecycle, etcd *clientv3.Client, tasks *fxbackground.Runner) (*Greeter, error) {
	return fxlifecycle.Manage(lc, &Greeter{etcd, tasks})
}

func (g *Greeter) Init(ctx context.Context) error {
	_, err := g.etcd.Put(ctx, "greeting", "hello")
	return err
}

// Greet returns at once. Its task may use etcd until it is done: stop waits for it before the client is closed.
func (g *Greeter) Greet(ctx context.Context, name string) error {
	return g.tasks.Run(ctx, "greet", func(ctx context.Context) error {
		got, err := g.etcd.Get(ctx, "greeting")
		if err != nil {
			return err
		}
		fmt.Printf("%s, %s\n", got.Kvs[0].Value, name)
		return nil
	})
}

func main() {
	fx.New(
		fxlifecycle.Coordinate(), // ordered, bounded stop for the whole application
		embedded.Module,          // an etcd in this process; without it, the one at 127.0.0.1:2379
		fxetcd.Module,
		fxbackground.Module,
		fx.Provide(NewGreeter),
		fx.Invoke(func(lc fx.Lifecycle, g *Greeter) {
			lc.Append(fx.StartHook(func(ctx context.Context) error { return g.Greet(ctx, "world") }))
		}),
	).Run()
}
