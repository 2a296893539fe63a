package fxfactory_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxfactory"
	"github.com/fxkit/fxkit/fxlifecycle"
)

func TestF15_Named_works_like_any_other_name(t *testing.T) {
	t.Parallel()
	type in struct {
		fx.In

		A *client `name:"aaa"`
	}
	var got []string
	a := &account{}
	app := fxtest.New(t, fx.NopLogger, yaml(three), httpModule(a),
		fxfactory.Named[*client, config]("aaa", "ccc"),
		fx.Invoke(func(p in) { got = append(got, p.A.name) }),
		fx.Invoke(fx.Annotate(func(c, a *client) { got = append(got, c.name, a.name) }, fx.ParamTags(`name:"ccc"`, `name:"aaa"`))),
		fx.Invoke(func(c *client) { got = append(got, c.name) }))
	app.RequireStart()
	app.RequireStop()
	assert.Equal(t, []string{"aaa", "ccc", "aaa", "bbb"}, got)
}

func TestF15_a_name_that_is_not_configured_fails_New_also_unused(t *testing.T) {
	t.Parallel()
	a := &account{}
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), yaml(three), httpModule(a),
		fxfactory.Named[*client, config]("aab", "bbb", ""))
	err := dig.RootCause(app.Err())
	require.ErrorIs(t, err, fxfactory.ErrNotFound)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 2)
	assert.Regexp(t, `^fxfactory: get http "aab": no such instance \(did you mean "aaa"\?\); known: "aaa", "bbb", "ccc" \(named at .*named_test\.go:\d+\)$`, lines[0])
	assert.Contains(t, lines[1], `fxfactory: get http "": no such instance; known:`)
	a.balanced(t)

	// The same text where somebody asks for it first.
	app = fx.New(fx.NopLogger, fxlifecycle.Coordinate(), yaml(three), httpModule(a),
		fx.Invoke(fx.Annotate(func(*client) {}, fx.ParamTags(`name:"aab"`))), fxfactory.Named[*client, config]("aab"))
	assert.Equal(t, withoutPlace(lines[0]), withoutPlace(dig.RootCause(app.Err()).Error()))
}

func TestF15_NamedFrom_names_every_configured_instance(t *testing.T) {
	t.Parallel()
	cfg, err := fxconfig.Load(fxconfig.Text("config.yaml", "http:\n  client: {url: a}\n  clients: {aaa: {url: b}, \"b.b\": null}\n"))
	require.NoError(t, err)
	var got struct {
		fx.In

		Default *client `name:"default"`
		A       *client `name:"aaa"`
		B       *client `name:"b.b"`
	}
	a := &account{}
	app := fxtest.New(t, fx.NopLogger, fx.Supply(cfg), httpModule(a),
		fxfactory.NamedFrom[*client, config](cfg, "http"), fx.Populate(&got))
	app.RequireStart()
	assert.Equal(t, []string{"default", "aaa", "b.b"}, []string{got.Default.name, got.A.name, got.B.name})
	app.RequireStop()

	// Another section than the Module's.
	app2 := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), yaml("http: {}"), httpModule(a), fxfactory.NamedFrom[*client, config](cfg, "http"))
	require.ErrorIs(t, app2.Err(), fxfactory.ErrNotFound)
	require.NoError(t, fx.New(fx.NopLogger, httpModule(a), fxfactory.NamedFrom[*client, config](nil, "http")).Err())
}

func TestF5_who_has_an_instance_injected_that_is_out_fails_New(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		option fx.Option
		want   bool
	}{
		{"by name", fx.Invoke(fx.Annotate(func(*client) {}, fx.ParamTags(`name:"low"`))), true},
		{"as the default", fx.Invoke(func(*client) {}), true},
		{"named only", fx.Options(), false},
		{"in the group", fx.Invoke(fx.Annotate(func(all []fxfactory.Instance[*client]) { assert.Empty(t, all) }, fx.ParamTags(`group:"http"`))), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &account{onCreate: failingCreate("low")}
			app := fx.New(fx.NopLogger, yaml("http: {clients: {low: }, priority: {low: Low}}"), httpModule(a),
				fxfactory.Named[*client, config]("low"), tt.option)
			if !tt.want {
				require.NoError(t, app.Err())
				return
			}
			require.ErrorIs(t, app.Err(), errDown)
			require.ErrorIs(t, app.Err(), fxfactory.ErrNotFound)
			assert.ErrorContains(t, dig.RootCause(app.Err()), `fxfactory: get http "low": no such instance at the moment, it is of priority Low and failed: `+
				`fxfactory: create http "low" (config.yaml:1:18): the server is down`)
		})
	}
}

func TestF5_a_Low_instance_that_is_injected_must_start(t *testing.T) {
	t.Parallel()
	for _, injected := range []bool{false, true} {
		a := &account{onStart: failing("low")}
		options := []fx.Option{
			fx.NopLogger, yaml("http: {clients: {low: }, priority: {low: Low}}"), httpModule(a), fxfactory.Named[*client, config]("low"),
		}
		if injected {
			options = append(options, fx.Invoke(fx.Annotate(func(*client) {}, fx.ParamTags(`name:"low"`))))
		}
		app := fx.New(options...)
		require.NoError(t, app.Err())
		err := app.Start(t.Context())
		if injected {
			require.ErrorIs(t, err, errDown)
			require.ErrorContains(t, err, "it is of priority Low, but somebody has it injected")
		} else {
			require.NoError(t, err)
			require.NoError(t, app.Stop(t.Context()))
		}
		a.balanced(t)
	}
}
