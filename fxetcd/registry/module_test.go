package registry_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
	"github.com/fxkit/fxkit/fxlifecycle"
)

func run(t *testing.T, opts ...fx.Option) *fx.App {
	t.Helper()
	app := fx.New(append(opts, fx.NopLogger)...)
	require.NoError(t, app.Err())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, app.Start(ctx))
	return app
}

func stop(t *testing.T, app *fx.App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, app.Stop(ctx))
}

func yaml(server *etcdtest.Server, registry string) fx.Option {
	return fxconfig.From(fxconfig.Text("config.yaml", "etcd: {client: {endpoints: ["+server.Endpoints()[0]+"]}, registry: "+registry+"}"))
}

func TestE8_configured_services_are_listed_once_everything_else_has_started(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := server.Client(t)
	for name, coordinated := range map[string]fx.Option{"coordinated": fxlifecycle.Coordinate(), "plain": fx.Options()} {
		t.Run(name, func(t *testing.T) {
			var early map[string]string
			var found *registry.Registry
			app := run(t, coordinated, fx.Supply(zap.NewNop()), fxetcd.Module, registry.Module, fx.Populate(&found),
				yaml(server, "{ttl: 10s, services: [{name: flagd, address: 127.0.0.1:8080, metadata: {zone: a}}]}"),
				fx.Invoke(func(lc fx.Lifecycle) {
					lc.Append(fx.StartHook(func() { early = raw(t, admin) }))
				}))
			if name == "coordinated" {
				assert.Empty(t, early, "before the application is ready it is not listed")
			}
			assert.Equal(t, map[string]string{"services/flagd/127.0.0.1:8080": `{"Op":0,"Addr":"127.0.0.1:8080","Metadata":{"zone":"a"}}`}, raw(t, admin))
			assert.Equal(t, []string{"127.0.0.1:8080"}, at(t, found, "flagd"))
			stop(t, app)
			assert.Empty(t, raw(t, admin))
		})
	}
}

// E8: PreDestroy deregisters before anything else stops, then waits drainDelay.
func TestE8_the_application_leaves_the_list_before_anything_stops_serving(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := server.Client(t)
	var served *fxlifecycle.Server
	var listed map[string]string
	var stopped time.Time
	app := run(t, fxlifecycle.Coordinate(), fx.Supply(zap.NewNop()), fxetcd.Module, registry.Module,
		yaml(server, "{drainDelay: 300ms, services: [{name: flagd, address: 127.0.0.1:8080}]}"),
		fx.Invoke(func(lc fx.Lifecycle) (err error) {
			served, err = fxlifecycle.Serve(lc, &http.Server{Addr: "127.0.0.1:0", ReadHeaderTimeout: time.Second})
			return err
		}),
		fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, "the first to stop otherwise", fxlifecycle.WithHooks(fxlifecycle.Hooks{
				PreDestroy: func(context.Context) error {
					listed, stopped = raw(t, admin), time.Now()
					c, err := net.Dial("tcp", served.Addr().String())
					if err == nil {
						return c.Close()
					}
					return err
				},
			}))
			return err
		}))
	begin := time.Now()
	stop(t, app)
	assert.Empty(t, listed, "it is off the list")
	assert.GreaterOrEqual(t, stopped.Sub(begin), 300*time.Millisecond, "for as long as the delay says")
}

func TestE8_an_application_starts_though_etcd_is_silent_and_registers_later(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	admin := server.Client(t)
	c, _ := newClient(t, server.Endpoints())
	server.Pause()
	app := fx.New(fx.NopLogger, fx.Supply(c, zap.NewNop()), registry.Module,
		fxconfig.From(fxconfig.Value("etcd.registry", map[string]any{"services": []any{map[string]any{"name": "a", "address": "h:1"}}})))
	require.NoError(t, app.Start(t.Context()))
	server.Resume()
	eventually(t, func() bool { return len(raw(t, admin)) == 1 }, "it is listed")
	stop(t, app)
}

func TestE13_section_etcd_registry_is_checked(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, []string{"127.0.0.1:1"})
	for section, want := range map[string]string{
		"{tll: 30s}":              `config.yaml:1:19: etcd.registry.tll: unknown key (did you mean "ttl"?)`,
		"{ttl: 30}":               `etcd.registry.ttl`,
		"{ttl: 10ms}":             `config.yaml:1:19: etcd.registry.ttl: 10ms: want whole seconds, at least 1s`,
		"{namespace: /services/}": `etcd.registry.namespace: "/services/" begins or ends with a slash: want "services"`,
		"{namespace: /}":          `etcd.registry.namespace: "/" begins or ends with a slash: want "services"`,
		"{drainDelay: -1s}":       `etcd.registry.drainDelay: -1s is negative`,
		"{services: [{name: a/b, address: h:1}]}":                        `config.yaml:1:31: etcd.registry.services.0.name: service "a/b" has a slash`,
		"{services: [{name: a}]}":                                        `config.yaml:1:30: etcd.registry.services.0.address: address "": want host:port`,
		"{services: [{name: a, address: h:1, id: a/b}]}":                 `config.yaml:1:54: etcd.registry.services.0.id: id "a/b" has a slash`,
		"{services: [{name: a, address: h:1}, {name: a, address: h:1}]}": `config.yaml:1:55: etcd.registry.services.1: service "a" has two instances with the id "h:1"`,
	} {
		app := fx.New(fx.NopLogger, fx.Supply(c, zap.NewNop()), registry.Module,
			fxconfig.From(fxconfig.Text("config.yaml", "etcd: {registry: "+section+"}")))
		assert.ErrorContains(t, app.Err(), want)
	}
}

func TestG1_a_registry_needs_no_Fx_and_no_configuration(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	r, err := registry.New(c, registry.Config{}, nil, registry.WithLogger(nil))
	require.NoError(t, err)
	register(t, r, order("a"))
	require.NoError(t, r.Stop(t.Context()))

	_, err = registry.New(nil, registry.Config{})
	assert.EqualError(t, err, "registry: the etcd client is nil")
	_, err = registry.New(c, registry.Config{TTL: time.Millisecond, DrainDelay: -1})
	assert.EqualError(t, err, "registry: configuration: ttl: 1ms: want whole seconds, at least 1s; below 5s a busy server alone makes instances disappear\ndrainDelay: -1ns is negative")
}
