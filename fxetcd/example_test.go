package fxetcd_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// Two instances at a server of this process: the default one, and one with a namespace.
func Example() {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	type clients struct {
		fx.In
		Default *clientv3.Client
		Audit   *clientv3.Client `name:"audit"`
	}
	app := fx.New(
		fx.NopLogger,
		fxlifecycle.Coordinate(),
		fxconfig.From(fxconfig.Text("config.yaml", `
etcd:
  embedded: {dir: "`+dir+`"}
  clients:
    default: {}
    audit: {namespace: audit/}
`)),
		fxetcd.Module,
		fxetcd.Named("audit"),
		embedded.Module,
		fx.Invoke(func(lc fx.Lifecycle, c clients) {
			lc.Append(fx.StartHook(func(ctx context.Context) error {
				if _, err := c.Audit.Put(ctx, "42", "placed"); err != nil {
					return err
				}
				got, err := c.Default.Get(ctx, "", clientv3.WithPrefix())
				if err != nil {
					return err
				}
				for _, kv := range got.Kvs {
					fmt.Printf("%s = %s\n", kv.Key, kv.Value)
				}
				return nil
			}))
		}),
	)
	fmt.Println("start:", app.Start(context.Background()))
	fmt.Println("stop:", app.Stop(context.Background()))
	// Output:
	// audit/42 = placed
	// start: <nil>
	// stop: <nil>
}

func ExampleNewClient() {
	_, err := fxetcd.NewClient(context.Background(), fxetcd.Config{
		Endpoints:   []string{"127.0.0.1:1", "etcd.invalid:2379"},
		DialTimeout: 2 * time.Second,
	})
	summary, reasons, _ := strings.Cut(err.Error(), " within ")
	fmt.Println(summary)
	_, reasons, _ = strings.Cut(reasons, ": ") // how long was waited
	for line := range strings.SplitSeq(reasons, "; ") {
		before, _, _ := strings.Cut(line, " (") // the error that showed it, as the system words it
		fmt.Println(before)
	}
	// Output:
	// fxetcd: connect: no etcd server answered
	// 127.0.0.1:1: nothing listens there
	// etcd.invalid:2379: unknown host
}

// What cannot work is refused where the configuration is read.
func ExampleConfig_Validate() {
	cfg := fxetcd.Config{
		Endpoints: []string{"http://a:2379", "etcd.internal"},
		Username:  "app",
		TLS:       &fxetcd.TLS{CA: "ca.pem"},
	}
	fmt.Println(cfg.Validate())
	// Output:
	// endpoints: endpoint "etcd.internal": no port: servers usually listen on etcd.internal:2379
	// tls: an http:// endpoint is not encrypted, whatever tls says: write https://, or remove tls
	// username: a username without a password: the client would go unauthenticated
}

// A client without endpoints goes where the application's EndpointSource says, such as a service of discovery.
func ExampleWithEndpointSource() {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	server, err := embedded.Start(ctx, embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
	if err != nil {
		panic(err)
	}
	c, err := fxetcd.NewClient(ctx, fxetcd.Config{}, fxetcd.WithEndpointSource(server))
	if err != nil {
		panic(err)
	}
	_, err = c.Put(ctx, "k", "v")
	fmt.Println(err, c.Close(), server.Stop(ctx))
	// Output: <nil> <nil> <nil>
}
