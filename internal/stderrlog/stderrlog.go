// Package stderrlog is what fxkit's modules log to in an application that provides no *zap.Logger.
package stderrlog

import (
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Or returns log, or if that is nil a logger of warnings and errors, as JSON, to standard error:
// a failure that has no one to return to must not vanish because an application has no logger.
func Or(log *zap.Logger) *zap.Logger {
	if log != nil {
		return log
	}
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zapcore.WarnLevel))
}
