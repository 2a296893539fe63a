package fxetcd

import (
	"sync"
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
		return &silencer{core, quiet, &limit{seen: map[string]int{}}}
	}))
	if instance != "" {
		log = log.With(zap.String("instance", instance))
	}
	return log
}

type silencer struct {
	zapcore.Core
	quiet *atomic.Bool
	limit *limit
}

func (s *silencer) With(fields []zapcore.Field) zapcore.Core {
	return &silencer{s.Core.With(fields), s.quiet, s.limit}
}

func (s *silencer) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if s.quiet.Load() || !s.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, s)
}

// Write leaves out the attempts that a server answered, if only to refuse: their callers have the error.
func (s *silencer) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if entry.Message == "retrying of unary invoker failed" && answered(fields) {
		return nil
	}
	ok, suppressed := s.limit.allow(entry)
	if !ok {
		return nil
	}
	if suppressed > 0 {
		fields = append(fields[:len(fields):len(fields)], zap.Int("suppressed", suppressed))
	}
	if checked := s.Core.Check(entry, nil); checked != nil {
		checked.Write(fields...)
	}
	return nil
}

// limit counts messages in windows of logEvery. zap's own sampler does this too, with half a megabyte of counters for each client.
type limit struct {
	mu    sync.Mutex
	since time.Time
	seen  map[string]int
	left  int // out since the last line
}

// allow tells whether to write an entry, and how many lines have been left out since the last one that was.
func (l *limit) allow(entry zapcore.Entry) (ok bool, suppressed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry.Time.Sub(l.since) >= logEvery {
		l.since = entry.Time
		clear(l.seen)
	}
	if l.seen[entry.Message]++; l.seen[entry.Message] > logFirst {
		l.left++
		return false, 0
	}
	suppressed, l.left = l.left, 0
	return true, suppressed
}

func answered(fields []zapcore.Field) bool {
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			switch status.Code(err) {
			case codes.Unavailable, codes.DeadlineExceeded, codes.Unknown:
				return false
			default:
				return attempt(err) == "" // a call that was cancelled while there was no connection
			}
		}
	}
	return false
}
