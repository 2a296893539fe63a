// Package grpcscope gives every call of a gRPC server a scope, as fxscope.Scopes.Middleware does for HTTP:
//
//	func NewServer(scopes *fxscope.Scopes) *grpc.Server {
//		return grpc.NewServer(
//			grpc.ChainUnaryInterceptor(grpcscope.UnaryServerInterceptor(scopes)),
//			grpc.ChainStreamInterceptor(grpcscope.StreamServerInterceptor(scopes)),
//		)
//	}
//
// Handlers, and interceptors behind these, then reach the objects of the call with fxscope.Get. The scope ends when the handler has
// returned, and the answer does not wait for it: errors of the end are logged. It also ends when the handler panics. A stream has one
// scope from its first message to its last. Once the application's stop has begun, calls fail with codes.Unavailable.
//
// The constructors of scoped objects find what belongs to the call in their context: metadata.FromIncomingContext, peer.FromContext and
// grpc.Method work there. What takes calls must stop before scopes do, so let the server's GracefulStop run in PreDestroy
// (fxlifecycle.Manage), not in an OnStop hook.
package grpcscope
