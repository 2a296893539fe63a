package fxconfig_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxconfig"
)

type httpConfig struct {
	BaseURL string `yaml:"baseURL"`
	Leaf    leaf
}

func TestModule_reads_the_default_sources(t *testing.T) {
	t.Chdir(files(t, map[string]string{"config.yaml": "http: {baseURL: http://a, leaf: {name: x}}"}))
	t.Setenv("CONFIG_FILE", "")
	t.Setenv("APP_ENV", "")
	var c *fxconfig.Config
	var h httpConfig
	var p *httpConfig
	app := fxtest.New(t, fxconfig.Module, fxconfig.Section[httpConfig]("http"), fxconfig.Section[*httpConfig]("http"), fx.Populate(&c, &h, &p))
	app.RequireStart().RequireStop()
	assert.Equal(t, httpConfig{BaseURL: "http://a", Leaf: leaf{Name: "x"}}, h)
	assert.Equal(t, h, *p)
	assert.Equal(t, []string{"http"}, c.Keys(""))
}

func TestModule_without_a_file_says_which_and_how_to_name_another(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("CONFIG_FILE", "")
	app := fx.New(fxconfig.Module, fx.NopLogger)
	require.ErrorIs(t, app.Err(), fs.ErrNotExist)
	require.ErrorContains(t, app.Err(), "open config.yaml: no such file or directory (set the environment variable CONFIG_FILE to read another file)")
	t.Setenv("CONFIG_FILE", "elsewhere.yaml")
	require.ErrorContains(t, fx.New(fxconfig.Module, fx.NopLogger).Err(), "open elsewhere.yaml: no such file or directory (CONFIG_FILE names it)",
		"the environment is read when the application is built")
}

func TestModule_says_once_at_debug_that_the_layer_is_absent(t *testing.T) {
	t.Chdir(files(t, map[string]string{"config.yaml": "a: 1", "config.here.yaml": "a: 2"}))
	t.Setenv("CONFIG_FILE", "")
	for env, want := range map[string]int{"gone": 1, "here": 0, "": 0} {
		t.Setenv("APP_ENV", env)
		core, logs := observer.New(zap.DebugLevel)
		fxtest.New(t, fxconfig.Module, fx.Supply(zap.New(core)), fx.Invoke(func(*fxconfig.Config) {}, func(*fxconfig.Config) {})).RequireStart().RequireStop()
		require.Len(t, logs.All(), want, env)
		if want == 1 {
			assert.Equal(t, zapcore.DebugLevel, logs.All()[0].Level)
			assert.Equal(t, "config.gone.yaml", logs.All()[0].ContextMap()["file"])
		}
	}
}

func TestG2_the_config_is_there_for_those_who_want_it_optionally(t *testing.T) {
	t.Parallel()
	type params struct {
		fx.In
		Config *fxconfig.Config `optional:"true"`
	}
	var with, without params
	fxtest.New(t, fxconfig.From(fxconfig.Text("t", "a: 1")), fx.Populate(&with)).RequireStart().RequireStop()
	fxtest.New(t, fx.Populate(&without)).RequireStart().RequireStop()
	assert.True(t, with.Config.Has("a"))
	assert.Nil(t, without.Config)
	assert.False(t, without.Config.Has("a"), "and a nil one is an empty one")
}

func TestFrom_and_Section_may_be_used_in_several_applications(t *testing.T) {
	t.Parallel()
	options := fx.Options(fxconfig.From(fxconfig.Text("t", "http: {baseURL: x, leaf: {name: y}}"), fxconfig.Value("http.baseURL", "z")), fxconfig.Section[*httpConfig]("http"), fx.NopLogger)
	var a, b *httpConfig
	require.NoError(t, fx.New(options, fx.Populate(&a)).Err())
	require.NoError(t, fx.New(options, fx.Populate(&b)).Err())
	assert.Equal(t, "z", a.BaseURL)
	assert.Equal(t, a, b)
	assert.NotSame(t, a, b)
	require.ErrorContains(t, fx.New(options, fxconfig.Module).Err(), "already provided")
}

func TestSection_of_what_is_absent_is_zero_and_a_pointer_to_it(t *testing.T) {
	t.Parallel()
	var value struct{ A int }
	var pointer *struct{ A int }
	var number int
	require.NoError(t, fx.New(
		fxconfig.From(fxconfig.Text("t", "null: null")), fx.NopLogger,
		fxconfig.Section[struct{ A int }]("gone"), fxconfig.Section[*struct{ A int }]("null"), fxconfig.Section[int]("gone"), fx.Populate(&value, &pointer, &number),
	).Err())
	assert.Zero(t, value)
	assert.NotNil(t, pointer)
}

func TestSection_errors_name_the_section_and_who_wants_it(t *testing.T) {
	t.Parallel()
	app := fx.New(
		fxconfig.From(fxconfig.Text("config.yaml", "http:\n  baseurl: x\n  leaf: {}")), fx.NopLogger,
		fxconfig.Section[httpConfig]("http"), fx.Invoke(func(httpConfig) {}),
	)
	require.Error(t, app.Err())
	assert.Regexp(t, `fxconfig: section "http", wanted at \S*module_test\.go:\d+: config\.yaml:2:3: http\.baseurl: unknown key \(did you mean "baseURL"\?\)`, app.Err().Error())
	problems(t, app.Err())

	app = fx.New(
		fxconfig.From(fxconfig.Text("config.yaml", "http:\n  leaf: {}")), fx.NopLogger,
		fxconfig.Section[*httpConfig]("http"), fx.Invoke(func(*httpConfig) {}),
	)
	assert.ErrorContains(t, app.Err(), "config.yaml:2:3: http.leaf.name: must not be empty", "C5")
	require.ErrorIs(t, app.Err(), errEmpty)

	app = fx.New(fxconfig.Section[httpConfig]("http"), fx.NopLogger, fx.Invoke(func(httpConfig) {}))
	assert.ErrorContains(t, app.Err(), "missing type: *fxconfig.Config")
	var e *fxconfig.Error
	assert.False(t, errors.As(app.Err(), &e))
}
