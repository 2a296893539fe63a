package registry_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/registry"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/internal/snippets"
)

const section = `
etcd:
  registry:
    namespace: services     # where the keys are: services/<service>/<id>
    ttl: 30s                # how long a crashed process stays listed
    drainDelay: 3s          # how long a stop waits after it has left the list; default: not at all
    services:
      - {name: flagd, address: "10.0.0.7:8080", metadata: {zone: a}}
`

func Example_withFx() {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	serve := func(lc fx.Lifecycle, r *registry.Registry) {
		_, _ = fxlifecycle.Manage(lc, "server", fxlifecycle.WithHooks(fxlifecycle.Hooks{PreDestroy: func(ctx context.Context) error {
			all, err := r.Instances(ctx, "flagd")
			fmt.Println("when the server stops:", len(all), err)
			return nil
		}}))
	}
	var r *registry.Registry
	app := fx.New(
		fxlifecycle.Coordinate(),
		fxconfig.From(fxconfig.Text("config.yaml", section), fxconfig.Value("etcd.embedded.dir", dir), fxconfig.Value("etcd.registry.drainDelay", "500ms")),
		fxetcd.Module,
		embedded.Module,
		registry.Module,
		fx.Invoke(serve),
		fx.Populate(&r), fx.Supply(zap.NewNop()), fx.NopLogger,
	)
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		panic(err)
	}
	all, err := r.Instances(ctx, "flagd")
	fmt.Println("when the application is ready:", all[0].Address, all[0].Metadata, err)
	fmt.Println(app.Stop(ctx))
	// Output:
	// when the application is ready: 10.0.0.7:8080 map[zone:a] <nil>
	// when the server stops: 0 <nil>
	// <nil>
}

func Example_withoutFx() {
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
	defer func() { _ = server.Stop(ctx) }()
	client, err := clientv3.New(clientv3.Config{Endpoints: server.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()

	if err := use(ctx, client); err != nil {
		panic(err)
	}
	// Output:
	// Online [{order 10.0.0.7:8080 10.0.0.7:8080 map[] 0s}] 10.0.0.7:8080
}

func use(ctx context.Context, client *clientv3.Client) (err error) {
	r, err := registry.New(client, registry.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Stop(ctx)) }() // off the list first
	g, err := r.Register(ctx, registry.Instance{Service: "order", Address: "10.0.0.7:8080"})
	if err != nil {
		return err
	}
	all, err := r.Instances(ctx, "order")
	if err != nil {
		return err
	}
	one, err := r.Pick(ctx, "order", registry.RoundRobin)
	if err != nil {
		return err
	}
	fmt.Println(g.State(), all, one.Address)
	credentials := grpc.WithTransportCredentials(insecure.NewCredentials())
	cc, err := grpc.NewClient("etcd:///order", grpc.WithResolvers(r.ResolverBuilder()), credentials)
	if err != nil {
		return err
	}
	return cc.Close()
}

// program is the one of the documentation, which needs an etcd to run.
func program(serve any) {
	fx.New(
		fxlifecycle.Coordinate(),
		fxconfig.Module,
		fxetcd.Module,
		registry.Module,
		fx.Invoke(serve),
	).Run()
}

var _ = program

func TestDocumentation_shows_code_that_runs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	for _, block := range snippets.Missing("doc.go", string(page), string(source)) {
		assert.Contains(t, block, "Pending", "the table is the only block that is no code")
	}
}
