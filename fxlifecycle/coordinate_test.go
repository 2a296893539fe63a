package fxlifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxlifecycle"
)

// managed is an object of which only stop is of interest.
func managed(s *steps, name string) fxlifecycle.Hooks {
	note := func(hook string) func(context.Context) error {
		return func(context.Context) error { s.add(name + "." + hook); return nil }
	}
	return fxlifecycle.Hooks{PreDestroy: note("PreDestroy"), Destroy: note("Destroy")}
}

func TestL5_every_PreDestroy_runs_before_any_Destroy_and_any_OnStop(t *testing.T) {
	t.Parallel()
	type annotated struct{}
	type early struct{}
	s := &steps{}
	manage := func(name string) any {
		return func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, name, fxlifecycle.WithHooks(managed(s, name)))
			return err
		}
	}
	stop := func(name string) func(fx.Lifecycle) {
		return func(lc fx.Lifecycle) { lc.Append(fx.StopHook(func() { s.add(name) })) }
	}
	app := fxtest.New(t,
		fx.Invoke(stop("before Coordinate")),
		fx.Invoke(manage("one")),
		fx.Module("module", fx.Invoke(stop("in a module")), fx.Invoke(manage("two"))),
		fxlifecycle.Coordinate(),
		fx.Provide(
			fx.Annotate(func() annotated { return annotated{} }, fx.OnStop(func() { s.add("annotation") })),
			func(lc fx.Lifecycle) early { stop("constructor")(lc); return early{} },
		),
		fx.Invoke(func(annotated, early) {}),
		fx.Invoke(manage("three")),
		fx.Invoke(stop("after all")),
	)
	app.RequireStart().RequireStop()
	assert.Equal(t, []string{
		"three.PreDestroy", "one.PreDestroy", "two.PreDestroy",
		"after all", "three.Destroy", "constructor", "annotation", "one.Destroy", "before Coordinate", "two.Destroy", "in a module",
	}, s.list())
}

func TestL9_an_append_during_start_or_stop_is_refused_and_logged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.ErrorLevel)
	s := &steps{}
	app := fxtest.New(t, fxlifecycle.Coordinate(), fx.Supply(zap.New(core)), fx.Invoke(func(lc fx.Lifecycle) {
		lc.Append(fx.StartStopHook(func() { lc.Append(hookOf(s, "late")) }, func() { lc.Append(hookOf(s, "later")) }))
	}))
	app.RequireStart().RequireStop()
	require.Equal(t, 2, logs.Len())
	for i, phase := range []string{"starting", "stopping"} {
		entry := logs.All()[i]
		assert.Equal(t, "fxlifecycle: a hook was refused: Append works in constructors and in fx.Invoke, not once the application starts", entry.Message)
		assert.Equal(t, phase, entry.ContextMap()["phase"])
		assert.Contains(t, entry.ContextMap()["caller"], "coordinate_test.go")
	}
	assert.Empty(t, s.list())
}

func TestL10_an_application_whose_objects_are_destroyed_does_not_start_again(t *testing.T) {
	t.Parallel()
	s := &steps{}
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Invoke(func(lc fx.Lifecycle) error {
		lc.Append(hookOf(s, "raw"))
		_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s})
		return err
	}))
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	before := s.list()
	err := app.Start(t.Context())
	require.ErrorIs(t, err, fxlifecycle.ErrStopped)
	assert.EqualError(t, err, "fxlifecycle: start: the application was stopped and its objects are destroyed: build a new one with fx.New")
	assert.Equal(t, before, s.list(), "before any hook")
}

func TestL10_an_application_without_objects_may_start_again(t *testing.T) {
	t.Parallel()
	s := &steps{}
	var c *fxlifecycle.Coordinator
	app := fxtest.New(t, fxlifecycle.Coordinate(), fx.Populate(&c), fx.Invoke(func(lc fx.Lifecycle) { lc.Append(hookOf(s, "raw")) }))
	for range 3 {
		app.RequireStart()
		<-c.Ready()
		assert.Equal(t, fxlifecycle.Running, c.Phase())
		app.RequireStop()
	}
	assert.Equal(t, 3, s.count("raw.OnStart"))
	assert.Equal(t, 3, s.count("raw.OnStop"))
}

func TestL10_one_option_value_in_two_applications_is_an_error(t *testing.T) {
	t.Parallel()
	s := &steps{}
	option := fxlifecycle.Coordinate()
	manage := fx.Invoke(func(lc fx.Lifecycle) error {
		_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s})
		return err
	})
	first := fx.New(fx.NopLogger, option, manage)
	require.NoError(t, first.Err())
	second := fx.New(fx.NopLogger, option, manage)
	assert.ErrorContains(t, second.Err(), "fxlifecycle: one Coordinate() value was given to two applications; call Coordinate for each fx.New")
	assert.Zero(t, s.count("a.Destroy"), "the first application is left in peace")
	require.NoError(t, first.Start(t.Context()))
	// This one fails before it gets as far as to ask for the lifecycle.
	third := fx.New(fx.NopLogger, option, fx.Module("m", fx.Invoke(func() error { return errBoom })))
	require.ErrorIs(t, third.Err(), errBoom)
	assert.Zero(t, s.count("a.Destroy"), "the first application is left in peace")
	require.NoError(t, first.Stop(t.Context()))
	assert.Equal(t, 1, s.count("a.PreDestroy"))
	assert.Equal(t, 1, s.count("a.Destroy"))
}

func TestCoordinate_given_twice_or_in_a_module_fails_New(t *testing.T) {
	t.Parallel()
	twice := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fxlifecycle.Coordinate())
	assert.ErrorContains(t, twice.Err(), "already provided")
	module := fx.New(fx.NopLogger, fx.Module("m", fxlifecycle.Coordinate()))
	assert.ErrorContains(t, module.Err(), "fx.RecoverFromPanics Option should be passed to top-level App, not to fx.Module")
	bad := fx.New(fx.NopLogger, fxlifecycle.Coordinate(fxlifecycle.WithStopBudget(0)))
	assert.EqualError(t, bad.Err(), "fxlifecycle: fxlifecycle.WithStopBudget(0s): the budget must be more than 0")
}

func TestCoordinate_works_alone(t *testing.T) {
	t.Parallel()
	var c *fxlifecycle.Coordinator
	app := fxtest.New(t, fxlifecycle.Coordinate(nil), fx.Populate(&c))
	assert.Equal(t, fxlifecycle.Constructing, c.Phase())
	app.RequireStart()
	<-c.Ready()
	app.RequireStop()
	assert.Equal(t, fxlifecycle.Stopped, c.Phase())
	assert.Empty(t, c.Journal())
}

// spy keeps Fx's own events about hooks.
type spy struct{ *steps }

func (s spy) LogEvent(e fxevent.Event) {
	switch e := e.(type) {
	case *fxevent.OnStartExecuting:
		s.add("start " + e.FunctionName)
	case *fxevent.OnStopExecuting:
		s.add("stop " + e.FunctionName)
	}
}

type service struct{}

func (service) Open()                            {}
func (service) Close()                           {}
func (service) Connect(context.Context) error    { return nil }
func (service) Disconnect(context.Context) error { return nil }

func TestL11_Fx_events_keep_the_names_of_the_functions(t *testing.T) {
	t.Parallel()
	s := &steps{}
	app := fx.New(
		fx.WithLogger(func() fxevent.Logger { return spy{s} }),
		fxlifecycle.Coordinate(),
		fx.Invoke(func(lc fx.Lifecycle) {
			lc.Append(fx.StartStopHook(service{}.Open, service{}.Close))
			lc.Append(fx.Hook{OnStart: service{}.Connect})
			lc.Append(fx.Hook{OnStop: service{}.Disconnect})
			lc.Append(fx.Hook{OnStart: service{}.Connect, OnStop: service{}.Disconnect})
		}),
	)
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	const pkg = "github.com/fxkit/fxkit/fxlifecycle_test.service."
	assert.Equal(t, []string{
		"start " + pkg + "Open-fm()", "start " + pkg + "Connect-fm()", "start " + pkg + "Connect-fm()",
		"stop " + pkg + "Disconnect-fm()", "stop " + pkg + "Disconnect-fm()", "stop " + pkg + "Close-fm()",
	}, slices.DeleteFunc(s.list(), func(step string) bool { return strings.Contains(step, "Coordinator") }))
}

func TestL11_Fx_events_show_managed_hooks_as_such(t *testing.T) {
	t.Parallel()
	s := &steps{}
	app := fx.New(
		fx.WithLogger(func() fxevent.Logger { return spy{s} }),
		fxlifecycle.Coordinate(),
		fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: &steps{}})
			return err
		}),
		fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, &struct{}{}) // has no hooks, so there are no events
			return err
		}),
	)
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	const pkg = "github.com/fxkit/fxkit/fxlifecycle."
	assert.Equal(t, []string{
		"start " + pkg + "(*Coordinator).begin-fm()", "start " + pkg + "managedObject.Init-fm()",
		"stop " + pkg + "managedObject.Destroy-fm()", "stop " + pkg + "(*Coordinator).end-fm()",
	}, s.list())
}

func TestL15_what_Fx_does_not_stop_Close_cleans_up(t *testing.T) {
	t.Parallel()
	for name, live := range map[string]func(*testing.T, context.Context, *fx.App){
		"New without Start": func(*testing.T, context.Context, *fx.App) {},
		"Start with a cancelled context": func(t *testing.T, ended context.Context, app *fx.App) {
			require.ErrorIs(t, app.Start(ended), context.Canceled)
		},
		"Stop with a context that has ended": func(t *testing.T, ended context.Context, app *fx.App) {
			require.NoError(t, app.Start(t.Context()))
			require.ErrorIs(t, app.Stop(ended), context.Canceled)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				c := newChain().new()
				live(t, ended, c.app)
				synctest.Wait() // Fx returns before its goroutine has
				assert.Zero(t, c.count("c.Destroy"), "Fx runs no hook at all")
				require.NoError(t, c.coordinator.Close(t.Context()))
				c.verify(t)
				assert.Equal(t, c.count("c.Init"), c.count("c.PreDestroy"))
				assert.Equal(t, c.count("raw.OnStart"), c.count("raw.OnStop"))
				require.NoError(t, c.coordinator.Close(t.Context()), "idempotent")
				c.verify(t)
				assert.ErrorIs(t, c.app.Start(t.Context()), fxlifecycle.ErrStopped)
			})
		})
	}
}

func TestL4_what_is_managed_after_the_cleanup_is_destroyed_at_once(t *testing.T) {
	t.Parallel()
	s := &steps{}
	var lifecycle fx.Lifecycle
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Invoke(func(lc fx.Lifecycle) error { lifecycle = lc; return errBoom }))
	require.Error(t, app.Err())
	_, err := fxlifecycle.Manage(lifecycle, &object{name: "a", steps: s})
	assert.EqualError(t, err, `fxlifecycle: manage "*fxlifecycle_test.object": the application has been stopped, so its Init would never run; call Manage in the constructor`)
	assert.Equal(t, []string{"a.Destroy"}, s.list())
}

func TestClose_with_a_context_that_has_ended_still_closes(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c := newChain().at("a.Destroy", func(ctx context.Context) error { return ctx.Err() }).new()
	assert.NoError(t, c.coordinator.Close(ended), "Destroy gets a context that works, for a little while")
	c.verify(t)
}

func TestClose_from_many_goroutines_during_stop(t *testing.T) {
	t.Parallel()
	c := newChain().new()
	require.NoError(t, c.app.Start(t.Context()))
	done := make(chan error)
	for range 8 {
		go func() { done <- c.coordinator.Close(context.Background()) }()
	}
	go func() { done <- c.app.Stop(context.Background()) }()
	for range 9 {
		assert.NoError(t, <-done)
	}
	c.verify(t)
	assert.Equal(t, 1, c.count("raw c.OnStop"))
}
