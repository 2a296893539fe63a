package fxetcd

import (
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// Option is for NewClient. Under Fx the same things are taken from the application.
type Option interface{ apply(*surroundings) }

// surroundings is what an application lends its clients, all of it optional, and what these have in common.
type surroundings struct {
	log    *zap.Logger
	tracer trace.TracerProvider
	meter  metric.MeterProvider
	source EndpointSource
	logins *logins
}

type optionFunc func(*surroundings)

func (f optionFunc) apply(s *surroundings) { f(s) }

// WithLogger gives the logger of the client. Default: warnings and errors to standard error.
func WithLogger(log *zap.Logger) Option { return optionFunc(func(s *surroundings) { s.log = log }) }

// WithTracerProvider traces each call. Streams are left out: their spans would last as long as they do.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(s *surroundings) { s.tracer = p })
}

// WithMeterProvider measures each call, streams excepted.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(s *surroundings) { s.meter = p })
}

// WithEndpointSource is where a client without endpoints of its own connects to.
func WithEndpointSource(source EndpointSource) Option {
	return optionFunc(func(s *surroundings) { s.source = source })
}
