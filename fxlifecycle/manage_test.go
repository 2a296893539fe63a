package fxlifecycle_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/internal/guard"
)

// modes are an application without and with a coordinator.
func modes(t *testing.T, test func(t *testing.T, coordinated fx.Option)) {
	t.Helper()
	for name, option := range map[string]func() fx.Option{
		"plain":       func() fx.Option { return fx.Options() },
		"coordinated": func() fx.Option { return fxlifecycle.Coordinate() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, option())
		})
	}
}

func TestL1_the_six_hooks_run_in_order_and_once(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode fx.Option) {
		s := &steps{}
		app := fxtest.New(t, mode, fx.Invoke(func(lc fx.Lifecycle) error {
			o, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s})
			assert.Equal(t, []string{"a.PostConstruct", "a.PreInject", "a.PostInject"}, s.list(), "before anybody sees the object")
			assert.Equal(t, "a", o.name)
			return err
		}))
		app.RequireStart().RequireStop()
		require.NoError(t, app.Stop(t.Context()), "a second stop does nothing")
		assert.Equal(t, []string{
			"a.PostConstruct", "a.PreInject", "a.PostInject", "a.Init", "a.PreDestroy", "a.Destroy",
		}, s.list())
	})
}

func TestL2_init_runs_in_dependency_order_and_destroy_in_reverse(t *testing.T) {
	t.Parallel()
	type A struct{ *object }
	type B struct{ *object }
	type C struct{ *object }
	modes(t, func(t *testing.T, mode fx.Option) {
		s := &steps{}
		manage := func(lc fx.Lifecycle, name string) (*object, error) {
			return fxlifecycle.Manage(lc, &object{name: name, steps: s})
		}
		app := fxtest.New(t,
			fx.Provide(
				func(lc fx.Lifecycle, _ B) (C, error) { o, err := manage(lc, "c"); return C{o}, err },
				func(lc fx.Lifecycle, _ A) (B, error) { o, err := manage(lc, "b"); return B{o}, err },
				func(lc fx.Lifecycle) (A, error) { o, err := manage(lc, "a"); return A{o}, err },
			),
			fx.Invoke(func(C) {}), mode,
		)
		app.RequireStart().RequireStop()
		var inits, predestroys, destroys []string
		for _, step := range s.list() {
			switch name, hook := step[:1], step[2:]; hook {
			case "Init":
				inits = append(inits, name)
			case "PreDestroy":
				predestroys = append(predestroys, name)
			case "Destroy":
				destroys = append(destroys, name)
			}
		}
		assert.Equal(t, []string{"a", "b", "c"}, inits)
		assert.Equal(t, []string{"c", "b", "a"}, predestroys)
		assert.Equal(t, []string{"c", "b", "a"}, destroys)
	})
}

func TestL3_a_failing_construction_hook_fails_the_constructor(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"PostConstruct": {"a.PostConstruct", "a.Destroy"},
		"PreInject":     {"a.PostConstruct", "a.PreInject", "a.Destroy"},
		"PostInject":    {"a.PostConstruct", "a.PreInject", "a.PostInject", "a.Destroy"},
	}
	modes(t, func(t *testing.T, mode fx.Option) {
		for hook, steps_ := range want {
			s := &steps{}
			app := fx.New(fx.NopLogger, mode, fx.Invoke(func(lc fx.Lifecycle) error {
				o, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s, do: map[string]func(context.Context) error{
					hook:      func(context.Context) error { return io.ErrUnexpectedEOF },
					"Destroy": func(context.Context) error { return io.ErrClosedPipe },
				}})
				assert.Nil(t, o, "Manage returns the zero T")
				return err
			}))
			require.ErrorIs(t, app.Err(), io.ErrUnexpectedEOF)
			require.ErrorIs(t, app.Err(), io.ErrClosedPipe, "that Destroy failed as well is not lost")
			assert.ErrorContains(t, app.Err(), `fxlifecycle: `+hook+` "*fxlifecycle_test.object": unexpected EOF`)
			assert.Equal(t, steps_, s.list(), hook)
			mode = freshen(mode)
		}
	})
}

// freshen is another option like the one given: a coordinator belongs to one application.
func freshen(mode fx.Option) fx.Option {
	if mode.String() == fx.Options().String() {
		return mode
	}
	return fxlifecycle.Coordinate()
}

func TestL8_a_panic_in_a_construction_hook_is_an_error_with_its_stack(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode fx.Option) {
		s := &steps{}
		app := fx.New(fx.NopLogger, mode, fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s, do: map[string]func(context.Context) error{
				"PreInject": func(context.Context) error { panic("boom") },
			}})
			return err
		}))
		var p *guard.PanicError
		require.ErrorAs(t, app.Err(), &p)
		assert.Contains(t, string(p.Stack), "manage_test.go")
		assert.Equal(t, 1, s.count("a.Destroy"))
	})
}

func TestL9_without_a_coordinator_a_failing_init_destroys_its_object(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return io.EOF },
		"panic": func(context.Context) error { panic(io.EOF) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &steps{}
			app := fx.New(fx.NopLogger, fx.Invoke(func(lc fx.Lifecycle) error {
				_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s, do: map[string]func(context.Context) error{"Init": fail}})
				return err
			}))
			err := app.Start(t.Context())
			require.ErrorIs(t, err, io.EOF)
			assert.ErrorContains(t, err, `fxlifecycle: Init "*fxlifecycle_test.object": `)
			assert.Equal(t, 1, s.count("a.Destroy"))
			assert.Zero(t, s.count("a.PreDestroy"))
			require.NoError(t, app.Stop(t.Context()))
			assert.Equal(t, 1, s.count("a.Destroy"))
		})
	}
}

func TestL9_without_a_coordinator_an_init_that_ends_after_its_context_destroys_its_object(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &steps{}
		app := fx.New(fx.NopLogger, fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s, do: map[string]func(context.Context) error{
				"Init": func(context.Context) error { time.Sleep(11 * time.Second); return nil },
				"Destroy": func(ctx context.Context) error {
					assert.NoError(t, ctx.Err(), "with a context that works")
					deadline, _ := ctx.Deadline()
					assert.Greater(t, time.Until(deadline), 10*time.Second, "and has time")
					return nil
				},
			}})
			return err
		}))
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, app.Start(ctx), context.DeadlineExceeded)
		time.Sleep(time.Minute)
		assert.Equal(t, 1, s.count("a.Destroy"))
		assert.Zero(t, s.count("a.PreDestroy"))
	})
}

func TestL9_manage_after_start_began_is_an_error_and_destroys(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode fx.Option) {
		s := &steps{}
		var late error
		app := fxtest.New(t, mode, fx.Invoke(func(lc fx.Lifecycle) {
			lc.Append(fx.StartHook(func() { _, late = fxlifecycle.Manage(lc, &object{name: "late", steps: s}) }))
		}))
		app.RequireStart().RequireStop()
		assert.EqualError(t, late, `fxlifecycle: manage "*fxlifecycle_test.object": the application has begun to start, so its Init would never run; call Manage in the constructor`)
		assert.Equal(t, []string{"late.Destroy"}, s.list(), "Manage owns the object: the caller has nothing to close")
	})
}

func TestL10_without_a_coordinator_a_destroyed_object_does_not_start_again(t *testing.T) {
	t.Parallel()
	s := &steps{}
	app := fx.New(fx.NopLogger, fx.Invoke(func(lc fx.Lifecycle) error {
		_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s})
		return err
	}))
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	assert.ErrorIs(t, app.Start(t.Context()), fxlifecycle.ErrStopped)
	assert.Equal(t, 1, s.count("a.Init"))
	assert.Equal(t, 1, s.count("a.Destroy"))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	manage := func(obj any, opts ...fxlifecycle.Option) error {
		_, err := fxlifecycle.Manage[any](fxtest.NewLifecycle(t), obj, opts...)
		return err
	}
	assert.NoError(t, manage(&struct{}{}, nil, fxlifecycle.WithName("x")))
	assert.EqualError(t, manage(nil), `fxlifecycle: manage "nil": the object is nil`)
	assert.EqualError(t, manage((*object)(nil)), `fxlifecycle: manage "*fxlifecycle_test.object": the object is nil`)
	assert.EqualError(t, manage(object{}),
		`fxlifecycle: manage "fxlifecycle_test.object": its hook PostConstruct is declared on the pointer, so a copy would never run it; give Manage a *fxlifecycle_test.object`)
	assert.EqualError(t, manage(3, fxlifecycle.WithName("")),
		`fxlifecycle: manage "int": fxlifecycle.WithName(""): the name is empty; leave the option out to use the type`)
	assert.EqualError(t, manage(3, fxlifecycle.WithStopTimeout(-time.Second)),
		`fxlifecycle: manage "int": fxlifecycle.WithStopTimeout(-1s): the timeout must be more than 0`)
	_, err := fxlifecycle.Manage(nil, 3)
	assert.EqualError(t, err, `fxlifecycle: manage "int": the fx.Lifecycle is nil; take it as a parameter of the constructor`)
}

func TestHooks_stand_in_for_methods_one_by_one(t *testing.T) {
	t.Parallel()
	s := &steps{}
	lc := fxtest.NewLifecycle(t)
	note := func(step string) func(context.Context) error {
		return func(context.Context) error { s.add(step); return nil }
	}
	_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s},
		fxlifecycle.WithHooks(fxlifecycle.Hooks{PreInject: note("first"), Destroy: note("first")}),
		fxlifecycle.WithHooks(fxlifecycle.Hooks{Destroy: note("second")}))
	require.NoError(t, err)
	lc.RequireStart().RequireStop()
	assert.Equal(t, []string{"a.PostConstruct", "first", "a.PostInject", "a.Init", "a.PreDestroy", "second"}, s.list())
}

func TestHooks_name_the_object_in_errors(t *testing.T) {
	t.Parallel()
	_, err := fxlifecycle.Manage(fxtest.NewLifecycle(t), "a value", fxlifecycle.WithName("ledger"),
		fxlifecycle.WithHooks(fxlifecycle.Hooks{PostInject: func(context.Context) error { return errors.New("no funds") }}))
	assert.EqualError(t, err, `fxlifecycle: PostInject "ledger": no funds`)
}

// eager is a lifecycle that stops every hook, also one that did not start.
type eager struct{ hooks []fx.Hook }

func (l *eager) Append(h fx.Hook) { l.hooks = append(l.hooks, h) }

func TestL1_another_lifecycle_does_not_make_a_hook_run_twice(t *testing.T) {
	t.Parallel()
	s, lc := &steps{}, &eager{}
	_, err := fxlifecycle.Manage(lc, &object{name: "a", steps: s, do: map[string]func(context.Context) error{
		"Init": func(context.Context) error { return io.EOF },
	}})
	require.NoError(t, err)
	require.ErrorIs(t, lc.hooks[0].OnStart(t.Context()), io.EOF)
	for range 2 {
		require.NoError(t, lc.hooks[0].OnStop(t.Context()))
	}
	assert.Equal(t, 1, s.count("a.Destroy"))
	assert.Zero(t, s.count("a.PreDestroy"))
}
