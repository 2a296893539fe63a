package fxbackground_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxbackground"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

func noop(context.Context) error { return nil }

// untilCancelled is a task that ends when it is told to.
func untilCancelled(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// sleep is a task that takes d and does not listen.
func sleep(d time.Duration) fxbackground.Task {
	return func(context.Context) error {
		time.Sleep(d) // virtual: tests that use it run in a synctest bubble
		return nil
	}
}

// newRunner is a Runner whose log the test reads.
func newRunner(t testing.TB, cfg fxbackground.Config) (*fxbackground.Runner, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	r, err := fxbackground.New(cfg, fxbackground.WithLogger(zap.New(core)))
	require.NoError(t, err)
	return r, logs
}

// runs is a Runner or a Group.
type runs interface {
	Run(context.Context, string, fxbackground.Task, ...fxbackground.TaskOption) error
}

func run(t testing.TB, r runs, name string, task fxbackground.Task, opts ...fxbackground.TaskOption) {
	t.Helper()
	require.NoError(t, r.Run(t.Context(), name, task, opts...))
}

// drained drains what nothing should be left of.
func drained(t testing.TB, r interface{ Drain(context.Context) error }) {
	t.Helper()
	require.NoError(t, r.Drain(context.Background()))
}

// leftBehind is what a drain names.
func leftBehind(t testing.TB, err error) []string {
	t.Helper()
	var drain *fxbackground.DrainError
	require.ErrorAs(t, err, &drain)
	return names(drain.Abandoned)
}

func names(infos []fxbackground.TaskInfo) []string {
	out := make([]string, len(infos))
	for i, info := range infos {
		out[i] = info.Name
	}
	slices.Sort(out)
	return out
}

// nextLine is file:line of the line after the one that calls it.
func nextLine() string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("%s:%d", file, line+1)
}
