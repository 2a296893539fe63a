package embedded_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxlifecycle"
)

func yaml(format string, args ...any) fx.Option {
	return fxconfig.From(fxconfig.Text("config.yaml", fmt.Sprintf(format, args...)))
}

// E7, E13
func TestE7_the_module_reads_its_section_and_starts_though_nobody_asks_for_it(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	dir := filepath.Join(t.TempDir(), "etcd")
	var s *embedded.Server
	var source fxetcd.EndpointSource
	app := fxtest.New(t, fx.NopLogger, embedded.Module, fx.Populate(&s, &source), fx.Supply(zap.New(core)),
		yaml("etcd: {embedded: {dir: %q, listen: 'localhost:0', history: 2h, logLevel: info}, clients: {main: {endpoints: 'ignored:1'}}}", dir))
	assert.Empty(t, s.Endpoints(), "nothing is started in fx.New")
	assert.NoDirExists(t, dir)
	app.RequireStart()
	assert.Equal(t, s.Endpoints(), source.Endpoints())
	assert.DirExists(t, dir)
	_, err := etcdtest.Client(t, s.Endpoints()...).Put(within(t, plenty), "k", "v")
	require.NoError(t, err)
	app.RequireStop()
	assert.NotZero(t, logs.FilterLevelExact(zapcore.InfoLevel).Len())
}

func TestE7_a_server_whose_port_is_known_tells_it_before_it_starts(t *testing.T) {
	t.Parallel()
	var s *embedded.Server
	require.NoError(t, fx.New(fx.NopLogger, embedded.Module, fx.Populate(&s), yaml("etcd: {embedded: {listen: ':2379'}}")).Err())
	assert.Equal(t, []string{"127.0.0.1:2379"}, s.Endpoints())
}

func TestE7_a_wrong_section_is_an_error_with_its_position(t *testing.T) {
	t.Parallel()
	app := fx.New(fx.NopLogger, embedded.Module, yaml("etcd:\n  embedded:\n    listen: nowhere\n    logLevel: loud\n    dri: x\n"))
	require.Error(t, app.Err())
	assert.ErrorContains(t, app.Err(), `config.yaml:4:15: etcd.embedded.logLevel: unrecognized level: "loud"; known: debug, info, warn, error, dpanic, panic, fatal`)
	assert.ErrorContains(t, app.Err(), `config.yaml:5:5: etcd.embedded.dri: unknown key (did you mean "dir"?)`)
	app = fx.New(fx.NopLogger, embedded.Module, yaml("etcd:\n  embedded:\n    listen: nowhere\n"))
	assert.ErrorContains(t, app.Err(), `config.yaml:3:5: etcd.embedded.listen: "nowhere" is not host:port`)
}

// G3, E7
func TestE7_a_start_that_fails_says_which_key_is_to_blame_and_where_it_is_set(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Config{Dir: t.TempDir()})
	for _, tt := range []struct{ name, text, want string }{
		{"a folder in use", fmt.Sprintf("etcd:\n  embedded:\n    dir: %q\n", s.Dir()), fmt.Sprintf("config.yaml:3:5: etcd.embedded.dir: folder %q: the folder is in use", s.Dir())},
		{"a taken port", fmt.Sprintf("etcd:\n  embedded:\n    dir: %q\n    listen: %s\n", t.TempDir(), s.Endpoints()[0]), "config.yaml:4:5: etcd.embedded.listen: cannot listen on " + s.Endpoints()[0]},
		{"another machine's address", fmt.Sprintf("etcd: {embedded: {dir: %q, listen: '192.0.2.1:0'}}", t.TempDir()), "etcd.embedded.listen: reserve a free port of 192.0.2.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := fx.New(fx.NopLogger, embedded.Module, fx.Supply(zap.NewNop()), fxconfig.From(fxconfig.Text("config.yaml", tt.text)))
			require.NoError(t, app.Err())
			assert.ErrorContains(t, app.Start(within(t, plenty)), tt.want)
		})
	}
}

// E7: the start that comes next may be that of another application in the process.
func TestE7_an_application_starts_on_the_folder_that_another_has_just_given_up(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	core, _ := observer.New(zapcore.InfoLevel)
	giveUp := zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		if e.Message == "starting an etcd server" {
			cancel()
		}
		return nil
	}))
	application := func(log *zap.Logger) *fx.App {
		return fx.New(fx.NopLogger, fxlifecycle.Coordinate(), embedded.Module, fx.Supply(log), yaml("etcd: {embedded: {dir: %q}}", dir))
	}
	require.ErrorIs(t, application(giveUp).Start(ctx), context.Canceled)
	second := application(zap.NewNop())
	require.NoError(t, second.Start(within(t, plenty)))
	require.NoError(t, second.Stop(within(t, plenty)))
}

func TestE7_a_server_starts_once(t *testing.T) {
	t.Parallel()
	app := fxtest.New(t, fx.NopLogger, embedded.Module, fx.Supply(zap.NewNop()), yaml("etcd: {embedded: {dir: %q}}", t.TempDir()))
	app.RequireStart().RequireStop()
	assert.ErrorIs(t, app.Start(within(t, plenty)), fxlifecycle.ErrStopped)
}
