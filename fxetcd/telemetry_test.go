package fxetcd_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E5
func TestE5_calls_are_traced_and_measured_if_providers_are_supplied_and_streams_are_not(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	reader := sdkmetric.NewManualReader()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var c *clientv3.Client
	start(t, fxetcd.Module, fx.Populate(&c), yaml(fmt.Sprintf("etcd: {client: {endpoints: %q, startup: skip}}", s.Endpoints()[0])),
		fx.Provide(func() trace.TracerProvider { return tracer }, func() metric.MeterProvider { return meter }))

	ctx, parent := tracer.Tracer("test").Start(within(t, plenty), "parent")
	watching, cancel := context.WithCancel(ctx)
	require.True(t, (<-c.Watch(watching, "k", clientv3.WithCreatedNotify())).Created)
	lease, err := c.Grant(ctx, 10)
	require.NoError(t, err)
	_, err = c.KeepAliveOnce(ctx, lease.ID)
	require.NoError(t, err)
	_, err = c.Put(ctx, "k", "v")
	require.NoError(t, err)
	cancel()
	parent.End()

	var names []string
	for _, span := range spans.Ended() {
		if span.Name() != "parent" {
			names = append(names, span.Name())
			assert.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID())
		}
	}
	assert.Equal(t, []string{"etcdserverpb.Lease/LeaseGrant", "etcdserverpb.KV/Put"}, names)

	var measured metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(ctx, &measured))
	require.Len(t, measured.ScopeMetrics, 1)
	methods := map[string]bool{}
	for _, m := range measured.ScopeMetrics[0].Metrics {
		if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "rpc.client.call.duration" {
			for _, point := range h.DataPoints {
				method, _ := point.Attributes.Value("rpc.method")
				methods[method.AsString()] = true
			}
		}
	}
	assert.Len(t, methods, 2, "%v", methods)
}

// E5: a provider of one kind alone works, and takes nothing from the process's global ones.
func TestE5_one_provider_is_enough(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	spans := tracetest.NewSpanRecorder()
	c := connect(t, fxetcd.Config{Endpoints: s.Endpoints(), Startup: fxetcd.Skip},
		fxetcd.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
	_, err := c.Put(within(t, plenty), "k", "v")
	require.NoError(t, err)
	assert.Len(t, spans.Ended(), 1)

	reader := sdkmetric.NewManualReader()
	c = connect(t, fxetcd.Config{Endpoints: s.Endpoints(), Startup: fxetcd.Skip},
		fxetcd.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	_, err = c.Put(within(t, plenty), "k", "v")
	require.NoError(t, err)
	var measured metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &measured))
	assert.NotEmpty(t, measured.ScopeMetrics)
}

// E5, G8
func TestE5_the_log_names_the_instance_and_is_not_flooded_while_the_server_is_away(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	core, logs := observer.New(zapcore.WarnLevel)
	var audit *clientv3.Client
	start(t, fxetcd.Module, fxetcd.Named("audit"), fx.Populate(fx.Annotate(&audit, fx.ParamTags(`name:"audit"`))),
		fx.Supply(zap.New(core)),
		yaml(fmt.Sprintf("etcd: {clients: {audit: {endpoints: %q, username: app, password: hunter2}}}", s.Endpoints()[0])))
	assert.Zero(t, logs.Len(), "nothing to say of a start that succeeds: %v", logs.All())

	s.Stop()
	// A call that has been cancelled fails without a server; a hundred of them are a hundred attempts that failed.
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), 1)
		_, err := audit.Put(ctx, "k", "v")
		cancel()
		require.Error(t, err)
	}
	entries := logs.FilterMessage("retrying of unary invoker failed").All()
	require.NotEmpty(t, entries)
	assert.LessOrEqual(t, len(entries), 3)
	for _, e := range logs.All() {
		assert.Equal(t, "audit", e.ContextMap()["instance"])
		assert.Equal(t, "fxetcd", e.LoggerName)
		assert.NotContains(t, fmt.Sprint(e.Entry, e.ContextMap()), "hunter2")
	}
}

// E5
func TestE5_a_refusal_is_the_callers_to_log(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	enableAuth(t, s.Client(t))
	core, logs := observer.New(zapcore.WarnLevel)
	c := connect(t, fxetcd.Config{Endpoints: s.Endpoints(), Username: "app", Password: password}, fxetcd.WithLogger(zap.New(core)))
	for range 10 {
		_, err := c.Put(within(t, plenty), "not-mine", "v")
		require.Error(t, err)
	}
	assert.Zero(t, logs.Len(), "%v", logs.All())
}
