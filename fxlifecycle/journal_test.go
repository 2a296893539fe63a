package fxlifecycle_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxlifecycle"
)

// watcher is an Observer that notes what it sees.
type watcher struct {
	*steps
	panics bool
}

func (w watcher) HookBegan(e fxlifecycle.Entry) {
	w.add("began " + e.Object + "." + e.Hook)
	if w.panics {
		panic("observer")
	}
}

func (w watcher) HookEnded(e fxlifecycle.Entry) {
	w.add("ended " + e.Object + "." + e.Hook)
	if w.panics {
		panic("observer")
	}
}

func observe(o fxlifecycle.Observer) fx.Option {
	return fx.Supply(fx.Annotate(o, fx.As(new(fxlifecycle.Observer)), fx.ResultTags(`group:"fxlifecycle.observers"`)))
}

func TestJournal_has_every_hook_with_its_object_caller_and_times(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c *fxlifecycle.Coordinator
		s := &steps{}
		wait := func(d time.Duration, err error) func(context.Context) error {
			return func(context.Context) error { time.Sleep(d); return err }
		}
		begin := time.Now()
		app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Populate(&c), fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s, do: map[string]func(context.Context) error{
				"PostInject": wait(time.Second, nil), "Init": wait(2*time.Second, nil), "Destroy": wait(time.Second, errBoom),
			}})
			lc.Append(fx.StartStopHook(service{}.Open, service{}.Close))
			return err
		}))
		require.NoError(t, app.Start(t.Context()))
		require.ErrorIs(t, app.Stop(t.Context()), errBoom)

		const raw = "github.com/fxkit/fxkit/fxlifecycle_test.service."
		want := []fxlifecycle.Entry{
			{Object: "*fxlifecycle_test.object", Hook: "PostConstruct"},
			{Object: "*fxlifecycle_test.object", Hook: "PreInject"},
			{Object: "*fxlifecycle_test.object", Hook: "PostInject", Duration: time.Second},
			{Object: "*fxlifecycle_test.object", Hook: "Init", Start: begin.Add(time.Second), Duration: 2 * time.Second},
			{Object: raw + "Open", Hook: "OnStart", Start: begin.Add(3 * time.Second)},
			{Object: "*fxlifecycle_test.object", Hook: "PreDestroy", Start: begin.Add(3 * time.Second)},
			{Object: raw + "Close", Hook: "OnStop", Start: begin.Add(3 * time.Second)},
			{Object: "*fxlifecycle_test.object", Hook: "Destroy", Start: begin.Add(3 * time.Second), Duration: time.Second, Err: errBoom},
		}
		got := c.Journal()
		require.Len(t, got, len(want))
		for i, e := range got {
			assert.Regexp(t, `^github\.com/fxkit/fxkit/fxlifecycle_test\.TestJournal_has_.* \(.*journal_test\.go:\d+\)$`, e.Caller)
			e.Caller = ""
			if want[i].Start.IsZero() {
				want[i].Start = begin
			}
			assert.Equal(t, want[i], e)
		}
	})
}

func TestJournal_has_what_was_left_behind_and_not_what_still_runs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hang{release: make(chan struct{})}
		c := newChain().at("c.PreDestroy", h.run).new()
		require.NoError(t, c.app.Start(t.Context()))
		before := len(c.coordinator.Journal())
		stop := make(chan error, 1)
		go func() { stop <- c.app.Stop(context.Background()) }()
		synctest.Wait()
		assert.Len(t, c.coordinator.Journal(), before, "it still runs")
		require.Error(t, <-stop)
		entry := c.coordinator.Journal()[before]
		assert.Equal(t, "PreDestroy", entry.Hook)
		assert.ErrorContains(t, entry.Err, "left behind")
		assert.Positive(t, entry.Duration)
		journal := c.coordinator.Journal()
		close(h.release)
		synctest.Wait()
		assert.Equal(t, journal, c.coordinator.Journal(), "its return changes nothing")
	})
}

func TestL12_an_observer_sees_every_hook_begin_and_end(t *testing.T) {
	t.Parallel()
	s, seen := &steps{}, &steps{}
	manage := fx.Invoke(func(lc fx.Lifecycle) error {
		_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s}, fxlifecycle.WithName("a"))
		return err
	})
	app := fx.New(fx.NopLogger, manage, fxlifecycle.Coordinate(), observe(watcher{steps: seen}),
		fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StartStopHook(service{}.Open, service{}.Close)) }))
	assert.Equal(t, []string{
		"began a.PostConstruct", "ended a.PostConstruct", "began a.PreInject", "ended a.PreInject", "began a.PostInject", "ended a.PostInject",
	}, seen.list(), "replayed: they ran before the observer was built")
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	const raw = "github.com/fxkit/fxkit/fxlifecycle_test.service."
	assert.Equal(t, []string{
		"began a.Init", "ended a.Init", "began " + raw + "Open.OnStart", "ended " + raw + "Open.OnStart",
		"began a.PreDestroy", "ended a.PreDestroy", "began " + raw + "Close.OnStop", "ended " + raw + "Close.OnStop", "began a.Destroy", "ended a.Destroy",
	}, seen.list()[6:])
}

func TestL12_an_observer_that_panics_is_logged_and_harms_nothing(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.ErrorLevel)
	s, seen, quiet := &steps{}, &steps{}, &steps{}
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Supply(zap.New(core)),
		observe(watcher{seen, true}), observe(watcher{quiet, false}),
		fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s}, fxlifecycle.WithName("a"))
			return err
		}))
	require.NoError(t, app.Err())
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	assert.Len(t, s.list(), 6)
	assert.Len(t, quiet.list(), 12)
	assert.ElementsMatch(t, quiet.list(), seen.list())
	require.Equal(t, 12, logs.Len())
	assert.Equal(t, "fxlifecycle: an observer panicked", logs.All()[0].Message)
}

func TestL12_an_observer_sees_a_hook_left_behind_end_once(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen, h := &steps{}, hang{release: make(chan struct{})}
		c := newChain().at("c.PreDestroy", h.run).at("b.Destroy", h.run).new(observe(watcher{steps: seen}))
		require.NoError(t, c.app.Start(t.Context()))
		require.Error(t, c.app.Stop(t.Context()))
		assert.Equal(t, 1, seen.count("ended c.PreDestroy"))
		close(h.release)
		synctest.Wait()
		assert.Equal(t, 1, seen.count("ended c.PreDestroy"))
		assert.Equal(t, 1, seen.count("ended b.Destroy"))
	})
}

func TestPhase_has_words(t *testing.T) {
	t.Parallel()
	for phase, want := range map[fxlifecycle.Phase]string{
		fxlifecycle.Constructing: "constructing", fxlifecycle.Starting: "starting", fxlifecycle.Running: "running",
		fxlifecycle.Stopping: "stopping", fxlifecycle.Stopped: "stopped", 7: "fxlifecycle.Phase(7)",
	} {
		assert.Equal(t, want, phase.String())
	}
}
