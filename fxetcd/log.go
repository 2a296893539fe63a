package fxetcd

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fxkit/fxkit/internal/stderrlog"
)

// While a server is away, etcd's client logs each attempt of each call. The first ones say it all.
const (
	logEvery = time.Minute
	logFirst = 3 // of each message, in each logEvery
)

// logger is an instance's own: the name is in every line, and the limit is counted for it alone.
func logger(log *zap.Logger, instance string) *zap.Logger {
	log = stderrlog.Or(log).Named("fxetcd").WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, logEvery, logFirst, 0)
	}))
	if instance != "" {
		log = log.With(zap.String("instance", instance))
	}
	return log
}
