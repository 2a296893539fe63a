package embedded

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logger prepares the application's logger for etcd: a name, a level, and an end for etcd's way to end the process.
// fatal is told what etcd found that it cannot go on with.
// While it stops, what etcd says of its connections is left out: they are closed on purpose.
func logger(log *zap.Logger, level zapcore.Level, fatal func(error), stopping <-chan struct{}) *zap.Logger {
	log = log.Named("etcd").WithOptions(
		zap.WithFatalHook(deathHook(fatal)),
		zap.WithPanicHook(deathHook(fatal)),
		zap.WrapCore(func(c zapcore.Core) zapcore.Core { return &expected{c, stopping} }),
	)
	if level > zapcore.DebugLevel && level > log.Level() {
		log = log.WithOptions(zap.IncreaseLevel(level))
	}
	return log
}

// A deathHook stands in for os.Exit, and for a panic that nobody recovers. etcd logs at Fatal what it must not survive, such as a
// write-ahead log that cannot be written, and at Panic what goes wrong thereafter. Ending the goroutine keeps its promise (what failed is
// never acknowledged) and leaves the rest of the process to its owner.
type deathHook func(error)

func (h deathHook) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	reason := errors.New(entry.Message)
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			reason = fmt.Errorf("%s: %w", entry.Message, err)
		}
	}
	h(reason)
	runtime.Goexit()
}

// expected drops the lines about what is meant to be so.
type expected struct {
	zapcore.Core
	stopping <-chan struct{}
}

var expectedMessages = map[string]bool{
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"simple token is not cryptographically signed":                                         true,
	"serving client traffic insecurely; this is strongly discouraged!":                     true,
}

var expectedOfStop = map[string]bool{
	"setting up serving from embedded etcd failed.": true,
	"failed to update cluster version":              true,
	"stopping insecure grpc server due to error":    true,
	"stopped insecure grpc server due to error":     true,
	"stopping secure grpc server due to error":      true,
	"stopped secure grpc server due to error":       true,
}

// expectedAtFirst is said of a new folder when etcd asks for the version of a storage that it has not written to yet, for the reason
// firstReason; it asks again later. With any other reason it is worth reading.
var expectedAtFirst = map[string]bool{
	"Failed to detect schema version":  true,
	"failed to update storage version": true,
}

const firstReason = "missing term information"

// earlyCampaign is in raft's word on a tick that comes before the new member has read of itself, on a busy machine. The next one elects it.
const earlyCampaign = "since there are still pending configuration changes to apply"

func (c *expected) With(fields []zapcore.Field) zapcore.Core {
	return &expected{c.Core.With(fields), c.stopping}
}

func (c *expected) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if expectedMessages[entry.Message] || strings.HasSuffix(entry.Message, earlyCampaign) {
		return checked
	}
	if expectedOfStop[entry.Message] {
		select {
		case <-c.stopping:
			return checked
		default:
		}
	}
	if expectedAtFirst[entry.Message] && c.Enabled(entry.Level) {
		return checked.AddCore(entry, c) // so that Write gets to see the reason
	}
	return c.Core.Check(entry, checked)
}

func (c *expected) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && strings.Contains(err.Error(), firstReason) {
			return nil
		}
	}
	return c.Core.Write(entry, fields)
}
