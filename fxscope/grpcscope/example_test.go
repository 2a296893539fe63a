package grpcscope_test

import (
	"context"
	"fmt"
	"net"

	"go.uber.org/fx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/fxkit/fxkit/fxscope"
	"github.com/fxkit/fxkit/fxscope/grpcscope"
)

// A Principal is who makes a call.
type Principal struct{ name string }

func NewPrincipal(ctx context.Context) *Principal {
	md, _ := metadata.FromIncomingContext(ctx)
	return &Principal{fmt.Sprint(md.Get("user"))}
}

func NewServer(scopes *fxscope.Scopes) *grpc.Server {
	return grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcscope.UnaryServerInterceptor(scopes)),
		grpc.ChainStreamInterceptor(grpcscope.StreamServerInterceptor(scopes)),
	)
}

// Health is a service whose handler uses the objects of its call.
type Health struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (Health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	principal, err := fxscope.Get[*Principal](ctx)
	if err != nil {
		return nil, err
	}
	fmt.Println("checked by", principal.name)
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func Example() {
	var server *grpc.Server
	app := fx.New(fx.NopLogger,
		fxscope.Module,
		fxscope.Provide(NewPrincipal),
		fx.Provide(NewServer),
		fx.Populate(&server),
	)
	if err := app.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = app.Stop(context.Background()) }()
	grpc_health_v1.RegisterHealthServer(server, Health{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { _ = server.Serve(listener) }()
	defer server.GracefulStop()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	for _, user := range []string{"ada", "grace"} {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "user", user)
		res, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		fmt.Println(res.GetStatus(), err)
	}
	// Output:
	// checked by [ada]
	// SERVING <nil>
	// checked by [grace]
	// SERVING <nil>
}
