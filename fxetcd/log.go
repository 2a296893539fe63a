package fxetcd

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/internal/stderrlog"
)

// While a server is away, etcd's client logs each attempt of each call. The first ones say it all.
const (
	logEvery = time.Minute
	logFirst = 3 // of each message, in each logEvery
)

// logger is an instance's own: the name is in every line, and the limit is counted for it alone. While quiet is set it says nothing.
func logger(log *zap.Logger, instance string, quiet *atomic.Bool) *zap.Logger {
	log = stderrlog.Or(log).Named("fxetcd").WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return &silencer{zapcore.NewSamplerWithOptions(core, logEvery, logFirst, 0), quiet}
	}))
	if instance != "" {
		log = log.With(zap.String("instance", instance))
	}
	return log
}

type silencer struct {
	zapcore.Core
	quiet *atomic.Bool
}

func (s *silencer) With(fields []zapcore.Field) zapcore.Core {
	return &silencer{s.Core.With(fields), s.quiet}
}

func (s *silencer) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if s.quiet.Load() || !s.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, s)
}

// Write leaves out the attempts that a server answered, if only to refuse: their callers have the error. It comes before the limit,
// which these would use up.
func (s *silencer) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if entry.Message == "retrying of unary invoker failed" && answered(fields) {
		return nil
	}
	if checked := s.Core.Check(entry, nil); checked != nil {
		checked.Write(fields...)
	}
	return nil
}

func answered(fields []zapcore.Field) bool {
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			switch status.Code(err) {
			case codes.Unavailable, codes.DeadlineExceeded, codes.Unknown:
				return false
			default:
				return true
			}
		}
	}
	return false
}
