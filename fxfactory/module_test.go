package fxfactory_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxfactory"
	"github.com/fxkit/fxkit/fxlifecycle"
)

func yaml(text string) fx.Option { return fxconfig.From(fxconfig.Text("config.yaml", text)) }

// httpModule is a Module of section http over an account.
func httpModule(a *account, opts ...fxfactory.Option) fx.Option {
	return fxfactory.Module[*client, config]("http", func() spec { return a.spec() }, append([]fxfactory.Option{quiet}, opts...)...)
}

const three = `
http:
  clients: {aaa: {url: a}, bbb: {url: b}, ccc: {url: c}}
  defaultClientName: bbb
  clientPriority: {aaa: High}
`

func TestF14_listing_the_Module_builds_starts_and_destroys_the_instances(t *testing.T) {
	t.Parallel()
	for _, coordinated := range []bool{false, true} {
		a := &account{}
		options := []fx.Option{fx.NopLogger, yaml(three), httpModule(a)}
		if coordinated {
			options = append(options, fxlifecycle.Coordinate())
		}
		app := fxtest.New(t, options...)
		assert.Equal(t, 1, a.count("create aaa"), "in fx.New, though nobody asks for anything")
		assert.Zero(t, a.count("start aaa"))
		app.RequireStart()
		assert.Equal(t, 1, a.count("start aaa"))
		app.RequireStop()
		a.balanced(t)
	}
}

func TestModule_provides_the_factory_the_default_and_a_snapshot(t *testing.T) {
	t.Parallel()
	var got struct {
		fx.In

		Factory *factory
		Default *client
		All     []fxfactory.Instance[*client] `group:"http"`
	}
	a := &account{}
	app := fxtest.New(t, fx.NopLogger, yaml(three), httpModule(a), fx.Populate(&got))
	app.RequireStart()
	defer app.RequireStop()
	assert.Equal(t, "bbb", got.Default.name, "F3: the same answer everywhere")
	byDefault, err := got.Factory.Default()
	require.NoError(t, err)
	assert.Same(t, byDefault, got.Default)
	slices.SortFunc(got.All, func(a, b fxfactory.Instance[*client]) int { return strings.Compare(a.Name, b.Name) })
	var names []string
	for _, in := range got.All {
		names = append(names, in.Name+" "+in.Priority.String()+" "+in.Value.name)
	}
	assert.Equal(t, []string{"aaa High aaa", "bbb Medium bbb", "ccc Medium ccc"}, names)
}

func TestModule_without_a_default(t *testing.T) {
	t.Parallel()
	a := &account{}
	two := yaml("http: {clients: {aaa: , bbb: }}")
	app := fx.New(fx.NopLogger, two, httpModule(a))
	require.NoError(t, app.Err(), "nobody asks for it")
	app = fx.New(fx.NopLogger, fxlifecycle.Coordinate(), two, httpModule(a), fx.Invoke(func(*client) {}))
	assert.EqualError(t, dig.RootCause(app.Err()), `fxfactory: get the default of http: no such instance: `+
		`none is called "default" and there is not just one; set defaultClientName to one of "aaa", "bbb"`)
	assert.ErrorIs(t, app.Err(), fxfactory.ErrNotFound)

	own := &client{name: "of somebody else"}
	var got *client
	app = fx.New(fx.NopLogger, two, httpModule(a, fxfactory.WithoutDefault()), fx.Supply(own), fx.Populate(&got))
	require.NoError(t, app.Err())
	assert.Same(t, own, got)
}

func TestModule_without_a_Config_is_an_empty_section(t *testing.T) {
	t.Parallel()
	a := &account{}
	s := a.spec()
	s.Fallback = clients{"local": func(c *config) { c.URL = "fallback" }}
	var got *client
	app := fxtest.New(t, fx.NopLogger,
		fxfactory.Module[*client, config]("http", func() spec { return s }), fx.Populate(&got))
	app.RequireStart()
	assert.Equal(t, "fallback", got.config.URL)
	app.RequireStop()
	a.balanced(t)
}

func TestModule_takes_any_constructor_of_a_Spec(t *testing.T) {
	t.Parallel()
	type dependency struct{ name string }
	a := &account{}
	options := func(newSpec any) fx.Option {
		return fx.Options(fx.NopLogger, yaml(three), fx.Supply(&dependency{"d"}),
			fxfactory.Module[*client, config]("http", newSpec))
	}
	type in struct {
		fx.In

		D *dependency
		M *dependency `optional:"true" name:"missing"`
	}
	type out struct {
		fx.Out

		Spec spec
	}
	for name, newSpec := range map[string]any{
		"parameters":             func(d *dependency) spec { require.Equal(t, "d", d.name); return a.spec() },
		"parameters and error":   func(*dependency) (spec, error) { return a.spec(), nil },
		"fx.In and fx.Out":       func(in in) out { require.Nil(t, in.M); return out{Spec: a.spec()} },
		"fx.Annotate":            fx.Annotate(func(*dependency) spec { return a.spec() }, fx.ParamTags(`optional:"true"`)),
		"variadic and lifecycle": func(fx.Lifecycle, ...string) spec { return a.spec() },
	} {
		require.NoError(t, fx.New(options(newSpec)).Err(), name)
	}
	app := fx.New(options(func(*dependency) (spec, error) { return spec{}, errDown }))
	require.Same(t, errDown, dig.RootCause(app.Err()))
	app = fx.New(options(func() spec { return a.spec() }), fx.Invoke(func(spec) {}))
	assert.ErrorContains(t, app.Err(), "missing type", "the Spec is nobody else's")
}

func TestModule_refuses_what_cannot_work(t *testing.T) {
	t.Parallel()
	good := func() spec { return (&account{}).spec() }
	for _, tt := range []struct {
		name, section string
		newSpec       any
		option        fxfactory.Option
		want          string
	}{
		{"no section", "", good, quiet, `fxfactory: Module of section "": the section needs a name`},
		{"a comma in the section", "a,b", good, quiet, `fxfactory: Module of section "a,b": a section's name is also that of an Fx group`},
		{"an option", "http", good, fxfactory.Concurrency(0), `fxfactory: Module of section "http": Concurrency(0): must be at least 1`},
		{"a Spec", "http", good(), quiet, `newSpec must be a constructor, func(…) fxfactory.Spec[`},
		{"nil", "http", nil, quiet, `not <nil>`},
		{"another Spec", "http", func() fxfactory.Spec[int, config] { return fxfactory.Spec[int, config]{} }, quiet, `newSpec must return fxfactory.Spec[*`},
		{"nothing", "http", func() {}, quiet, `newSpec must return fxfactory.Spec[*`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := fx.New(fx.NopLogger, fxfactory.Module[*client, config](tt.section, tt.newSpec, tt.option))
			assert.ErrorContains(t, app.Err(), tt.want)
		})
	}
}

func TestModule_options_serve_several_applications(t *testing.T) {
	t.Parallel()
	a := &account{}
	options := fx.Options(fx.NopLogger, yaml(three), httpModule(a), fxfactory.Named[*client, config]("aaa"))
	var first, second *factory
	one := fxtest.New(t, options, fx.Populate(&first)).RequireStart()
	two := fxtest.New(t, options, fx.Populate(&second)).RequireStart()
	assert.NotSame(t, first, second)
	one.RequireStop()
	assert.Equal(t, 3, second.Len())
	two.RequireStop()
	a.balanced(t)
}

func TestModule_two_sections_of_one_client(t *testing.T) {
	t.Parallel()
	type other config
	a := &account{}
	var got struct {
		fx.In

		Default *client
		Other   *client `name:"other"`
		Others  *fxfactory.Factory[*client, other]
	}
	app := fxtest.New(t, fx.NopLogger,
		yaml("http: {client: {url: a}}\ngrpc: {clients: {other: {url: b}}}"),
		httpModule(a),
		fxfactory.Module[*client, other]("grpc", func() fxfactory.Spec[*client, other] {
			s := a.spec()
			return fxfactory.Spec[*client, other]{
				Create: func(ctx context.Context, name string, cfg other) (*client, error) {
					return s.Create(ctx, name, config(cfg))
				},
				Start: s.Start, Destroy: s.Destroy,
			}
		}, fxfactory.WithoutDefault()),
		fxfactory.Named[*client, other]("other"),
		fx.Populate(&got))
	app.RequireStart()
	assert.Equal(t, "a", got.Default.config.URL)
	assert.Equal(t, "b", got.Other.config.URL)
	assert.Equal(t, "grpc", got.Others.Name())
	app.RequireStop()
	a.balanced(t)
}

func TestModule_logs_to_the_applications_logger(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	a := &account{onCreate: failingCreate("aaa")}
	app := fxtest.New(t, fx.NopLogger, yaml("http: {clients: {aaa: }, priority: {aaa: Low}}"),
		fx.Supply(zap.New(core)), fxfactory.Module[*client, config]("http", func() spec { return a.spec() }))
	app.RequireStart()
	app.RequireStop()
	assert.NotZero(t, logs.FilterField(zap.String("factory", "http")).Len())
}

func TestModule_may_provide_the_applications_logger(t *testing.T) {
	t.Parallel()
	var got *zap.Logger
	app := fxtest.New(t, fx.NopLogger, yaml("log: {client: {url: x}}"),
		fxfactory.Module[*zap.Logger, config]("log", func() fxfactory.Spec[*zap.Logger, config] {
			return fxfactory.Spec[*zap.Logger, config]{
				Create: func(context.Context, string, config) (*zap.Logger, error) { return zap.NewNop(), nil },
			}
		}, fxfactory.WithLogger(nil)),
		fx.Populate(&got))
	app.RequireStart()
	app.RequireStop()
	assert.NotNil(t, got)
}

func TestF14_CreateTimeout_bounds_fx_New(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	a := &account{onCreate: func(context.Context, string, config) error { <-release; return errDown }}
	app := fx.New(fx.NopLogger, yaml(three), httpModule(a, fxfactory.CreateTimeout(20*time.Millisecond)))
	assert.ErrorIs(t, app.Err(), context.DeadlineExceeded)
	assert.ErrorContains(t, dig.RootCause(app.Err()), `fxfactory: create http "aaa" (config.yaml:3:13): took longer than 20ms (CreateTimeout)`)
}

// With a coordinator an instance is usable until every PreDestroy has run.
func TestF14_instances_outlive_all_that_drain(t *testing.T) {
	t.Parallel()
	a := &account{}
	var used bool
	app := fxtest.New(t, fx.NopLogger, fxlifecycle.Coordinate(), yaml(three),
		// It does not even depend on the factory's Fx order: it is built before.
		fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, new(int), fxlifecycle.WithHooks(fxlifecycle.Hooks{PreDestroy: func(context.Context) error {
				assert.Len(t, a.alive(), 3)
				used = true
				return nil
			}}))
			return err
		}),
		httpModule(a))
	app.RequireStart()
	app.RequireStop()
	assert.True(t, used)
	a.balanced(t)
}

func TestF14_with_a_coordinator_every_failure_destroys(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, tt := range []struct {
		name   string
		option fx.Option
		built  bool // fx.New succeeds
	}{
		{"an Invoke fails", fx.Invoke(func() error { return errDown }), false},
		{"an Invoke panics", fx.Invoke(func() { panic("boom") }), false},
		{"a constructor fails", fx.Options(fx.Provide(func() (string, error) { return "", errDown }), fx.Invoke(func(string) {})), false},
		{"a name is unknown", fxfactory.Named[*client, config]("zzz"), false},
		{"an OnStart fails", fx.Invoke(func(lc fx.Lifecycle) {
			lc.Append(fx.Hook{OnStart: func(context.Context) error { return errDown }})
		}), true},
		{"an OnStart panics", fx.Invoke(func(lc fx.Lifecycle) {
			lc.Append(fx.Hook{OnStart: func(context.Context) error { panic("boom") }})
		}), true},
		{"an OnStart hangs", fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.Hook{OnStart: hang}) }), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &account{}
				app := fx.New(fx.NopLogger, fx.Supply(zap.NewNop()), fxlifecycle.Coordinate(), yaml(three), httpModule(a), tt.option)
				if tt.built {
					require.NoError(t, app.Err())
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					require.Error(t, app.Start(ctx))
				} else {
					require.Error(t, app.Err())
				}
				assert.Len(t, a.clients, 3)
				a.balanced(t)
			})
		})
	}
}

func TestF14_without_a_coordinator_a_factory_cleans_up_its_own_failures(t *testing.T) {
	t.Parallel()
	a := &account{onCreate: failingCreate("bbb")}
	app := fx.New(fx.NopLogger, yaml(three), httpModule(a))
	require.EqualError(t, dig.RootCause(app.Err()), `fxfactory: create http "bbb" (config.yaml:3:28): the server is down`)
	assert.Len(t, a.clients, 2)
	a.balanced(t)

	a = &account{onStart: failing("bbb")}
	app = fx.New(fx.NopLogger, yaml(three), httpModule(a))
	require.NoError(t, app.Err())
	err := app.Start(t.Context())
	require.ErrorIs(t, err, errDown)
	assert.ErrorContains(t, err, `fxfactory: start http "bbb" (config.yaml:3:28): the server is down`)
	assert.Len(t, a.clients, 3)
	a.balanced(t)
}

func TestF14_a_start_that_times_out_destroys(t *testing.T) {
	t.Parallel()
	for _, coordinated := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := &account{onStart: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }}
			options := []fx.Option{fx.NopLogger, fx.Supply(zap.NewNop()), yaml(three), httpModule(a)}
			if coordinated {
				options = append(options, fxlifecycle.Coordinate())
			}
			app := fx.New(options...)
			require.NoError(t, app.Err())
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			assert.ErrorContains(t, app.Start(ctx), `fxfactory: start http "aaa" (config.yaml:3:13): context deadline exceeded`)
			a.balanced(t)
		})
	}
}

func withoutPlace(s string) string { s, _, _ = strings.Cut(s, " (named at"); return s }

// An interface as T, as a program that hides its clients would have it.
func TestModule_of_an_interface(t *testing.T) {
	t.Parallel()
	var got error
	app := fxtest.New(t, fx.NopLogger, yaml("errors: {client: {url: x}}"),
		fxfactory.Module[interface{ Use() string }, config]("errors", func() fxfactory.Spec[interface{ Use() string }, config] {
			return fxfactory.Spec[interface{ Use() string }, config]{
				Create: func(_ context.Context, _ string, cfg config) (interface{ Use() string }, error) {
					return user(cfg.URL), nil
				},
			}
		}),
		fx.Invoke(func(u interface{ Use() string }) { got = errors.New(u.Use()) }))
	app.RequireStart()
	app.RequireStop()
	assert.EqualError(t, got, "x")
}

type user string

func (u user) Use() string { return string(u) }

type missing struct{}

func specThatNeeds(*missing) spec  { return spec{} }
func specThatFails() (spec, error) { return spec{}, errDown }

func TestG7_errors_name_the_users_constructor(t *testing.T) {
	t.Parallel()
	for name, newSpec := range map[string]any{"specThatNeeds": specThatNeeds, "specThatFails": specThatFails} {
		app := fx.New(fx.NopLogger, fxfactory.Module[*client, config]("http", newSpec))
		assert.Regexp(t, `fxfactory_test"\.`+name+` \(.*/module_test\.go:\d+\)`, app.Err())
	}
}
