package grpcscope_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/fxscope"
	"github.com/fxkit/fxkit/fxscope/grpcscope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is what every call of these tests has.
type call struct {
	user      string
	method    string
	destroyed chan struct{}
	hold      chan struct{}
}

func (c *call) Destroy(context.Context) error {
	if c.hold != nil {
		<-c.hold
	}
	close(c.destroyed)
	return nil
}

// service is the health service, with handlers that a test gives it.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
	check func(ctx context.Context) error
	watch func(stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error
}

func (s *service) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, s.check(ctx)
}

func (s *service) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	return s.watch(stream)
}

type fixture struct {
	*service
	app       *fx.App
	scopes    *fxscope.Scopes
	client    grpc_health_v1.HealthClient
	destroyed chan struct{}
	stopping  chan struct{}
}

// start runs an application with a real gRPC server, which stops in PreDestroy, and connects to it.
func start(t *testing.T, hold chan struct{}) *fixture {
	t.Helper()
	f := &fixture{service: &service{}, destroyed: make(chan struct{}), stopping: make(chan struct{})}
	var listener net.Listener
	f.app = fx.New(fx.NopLogger,
		fxlifecycle.Coordinate(),
		fxscope.Module,
		fxscope.Provide(func(ctx context.Context) *call {
			md, _ := metadata.FromIncomingContext(ctx)
			method, _ := grpc.Method(ctx)
			user := ""
			if users := md.Get("user"); len(users) > 0 {
				user = users[0]
			}
			return &call{user, method, f.destroyed, hold}
		}),
		fx.Populate(&f.scopes),
		fx.Invoke(func(lc fx.Lifecycle, scopes *fxscope.Scopes) error {
			server := grpc.NewServer(
				grpc.ChainUnaryInterceptor(recoverUnary, grpcscope.UnaryServerInterceptor(scopes)),
				grpc.ChainStreamInterceptor(recoverStream, grpcscope.StreamServerInterceptor(scopes)),
			)
			grpc_health_v1.RegisterHealthServer(server, f.service)
			_, err := fxlifecycle.Manage(lc, server, fxlifecycle.WithHooks(fxlifecycle.Hooks{
				Init: func(context.Context) (err error) {
					if listener, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
						go func() { _ = server.Serve(listener) }()
					}
					return err
				},
				PreDestroy: func(context.Context) error { close(f.stopping); server.GracefulStop(); return nil },
			}))
			return err
		}),
	)
	require.NoError(t, f.app.Err())
	require.NoError(t, f.app.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, f.app.Stop(context.Background())) })
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	f.client = grpc_health_v1.NewHealthClient(conn)
	return f
}

func recoverUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (res any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = status.Errorf(codes.Internal, "panic: %v", v)
		}
	}()
	return handler(ctx, req)
}

func recoverStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = status.Errorf(codes.Internal, "panic: %v", v)
		}
	}()
	return handler(srv, stream)
}

func (f *fixture) check(ctx context.Context) error {
	_, err := f.client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

func (f *fixture) watch(ctx context.Context) (received int, err error) {
	stream, err := f.client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	for ; err == nil; received++ {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return received - 1, err
}

func TestS9_a_unary_call_has_a_scope(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	f := start(t, hold)
	f.service.check = func(ctx context.Context) error {
		c, err := fxscope.Get[*call](ctx)
		require.NoError(t, err)
		again, err := fxscope.Get[*call](ctx)
		assert.Same(t, c, again)
		assert.Equal(t, "ada", c.user)
		assert.Equal(t, "/grpc.health.v1.Health/Check", c.method)
		return err
	}
	require.NoError(t, f.check(metadata.AppendToOutgoingContext(t.Context(), "user", "ada")))
	assert.Equal(t, 1, f.scopes.Live(), "the answer is here, and the scope still ends")
	close(hold)
	<-f.destroyed
}

func TestS9_a_stream_has_one_scope(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	f.service.watch = func(stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
		first, err := fxscope.Get[*call](stream.Context())
		require.NoError(t, err)
		for range 3 {
			c, err := fxscope.Get[*call](stream.Context())
			assert.Same(t, first, c)
			if err := errors.Join(err, stream.Send(&grpc_health_v1.HealthCheckResponse{})); err != nil {
				return err
			}
		}
		return nil
	}
	received, err := f.watch(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, received)
	<-f.destroyed
}

func TestS9_what_goes_wrong_in_a_handler_ends_the_scope(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(ctx context.Context) error
		code codes.Code
	}{
		"an error":     {func(context.Context) error { return status.Error(codes.NotFound, "no") }, codes.NotFound},
		"a panic":      {func(context.Context) error { panic("boom") }, codes.Internal},
		"cancellation": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, codes.Canceled},
	} {
		for kind, run := range map[string]func(f *fixture, ctx context.Context, do func(context.Context) error) error{
			"unary": func(f *fixture, ctx context.Context, do func(context.Context) error) error {
				f.service.check = do
				return f.check(ctx)
			},
			"stream": func(f *fixture, ctx context.Context, do func(context.Context) error) error {
				f.service.watch = func(stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
					return do(stream.Context())
				}
				_, err := f.watch(ctx)
				return err
			},
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				t.Parallel()
				f := start(t, nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := run(f, ctx, func(ctx context.Context) error {
					_, err := fxscope.Get[*call](ctx)
					assert.NoError(t, err)
					if tt.code == codes.Canceled {
						cancel()
					}
					return tt.do(ctx)
				})
				assert.Equal(t, tt.code, status.Code(err), "%v", err)
				<-f.destroyed
			})
		}
	}
}

func TestS10_calls_in_hand_are_finished_and_none_begins_after_stop(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	entered, finish := make(chan struct{}), make(chan struct{})
	f.service.check = func(ctx context.Context) error {
		close(entered)
		<-finish
		_, err := fxscope.Get[*call](ctx)
		return err
	}
	answer := make(chan error)
	go func() { answer <- f.check(t.Context()) }()
	<-entered
	stopped := make(chan error)
	go func() { stopped <- f.app.Stop(t.Context()) }()
	<-f.stopping
	close(finish)
	assert.NoError(t, <-answer)
	assert.NoError(t, <-stopped)
	<-f.destroyed

	handler := func(context.Context, any) (any, error) { panic("never") }
	_, err := grpcscope.UnaryServerInterceptor(f.scopes)(t.Context(), nil, nil, handler)
	assert.Equal(t, codes.Unavailable, status.Code(err))
	err = grpcscope.StreamServerInterceptor(f.scopes)(nil, stream{ctx: t.Context()}, nil, func(any, grpc.ServerStream) error { panic("never") })
	assert.Equal(t, codes.Unavailable, status.Code(err))
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stream) Context() context.Context { return s.ctx }
