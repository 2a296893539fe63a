package grpcscope

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxscope"
)

// UnaryServerInterceptor gives every unary call a scope, whose context the handler gets.
func UnaryServerInterceptor(scopes *fxscope.Scopes) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, sc, err := begin(ctx, scopes)
		if err != nil {
			return nil, err
		}
		defer sc.Release()
		return handler(ctx, req)
	}
}

// StreamServerInterceptor gives every stream a scope, which the stream's context has.
func StreamServerInterceptor(scopes *fxscope.Scopes) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, sc, err := begin(stream.Context(), scopes)
		if err != nil {
			return err
		}
		defer sc.Release()
		return handler(srv, &scopedStream{stream, ctx})
	}
}

func begin(ctx context.Context, scopes *fxscope.Scopes) (context.Context, *fxscope.Scope, error) {
	ctx, sc := scopes.Begin(ctx)
	if sc.Err() != nil {
		return nil, nil, status.Error(codes.Unavailable, "the server is stopping")
	}
	return ctx, sc, nil
}

// A scopedStream is a stream with a scope in its context.
type scopedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *scopedStream) Context() context.Context { return s.ctx }
