package fxetcd

import (
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	nometric "go.opentelemetry.io/otel/metric/noop"
	notrace "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// longLived are the methods whose spans would last as long as the client, and end as errors when it closes.
var longLived = map[string]bool{
	"/etcdserverpb.Watch/Watch":          true,
	"/etcdserverpb.Lease/LeaseKeepAlive": true,
}

// telemetry is nothing where no provider is supplied: even a handler that does nothing costs a tenth of a call.
func (s surroundings) telemetry() []grpc.DialOption {
	if s.tracer == nil && s.meter == nil {
		return nil
	}
	tracer, meter := s.tracer, s.meter
	// otelgrpc would take a provider that is left out from the process's global ones.
	if tracer == nil {
		tracer = notrace.NewTracerProvider()
	}
	if meter == nil {
		meter = nometric.NewMeterProvider()
	}
	handler := otelgrpc.NewClientHandler(
		otelgrpc.WithTracerProvider(tracer),
		otelgrpc.WithMeterProvider(meter),
		otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool { return !longLived[info.FullMethodName] }),
	)
	return []grpc.DialOption{grpc.WithStatsHandler(handler)}
}
