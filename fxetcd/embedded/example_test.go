package embedded_test

import (
	"context"
	"fmt"
	"os"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
)

func Example() {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var c *clientv3.Client
	app := fx.New(
		fxetcd.Module,
		embedded.Module,
		fxconfig.From(fxconfig.Value("etcd.embedded.dir", dir)), // or a config.yaml, with fxconfig.Module
		fx.Populate(&c),
		fx.NopLogger,
	)
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		panic(err)
	}
	_, _ = c.Put(ctx, "greeting", "hello")
	got, _ := c.Get(ctx, "greeting")
	fmt.Println(string(got.Kvs[0].Value))
	fmt.Println(app.Stop(ctx))
	// Output:
	// hello
	// <nil>
}

func ExampleStart() {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	cfg := embedded.Config{Dir: dir}
	s, err := embedded.Start(ctx, cfg, embedded.WithLogger(zap.NewNop()))
	if err != nil {
		panic(err)
	}
	_, err = embedded.Start(ctx, cfg)
	fmt.Println(len(s.Endpoints()), err != nil)
	fmt.Println(s.Stop(ctx))
	// Output:
	// 1 true
	// <nil>
}
