package fxlifecycle_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxlifecycle"
)

const loopback = "127.0.0.1:0"

func serve(srv *http.Server, server **fxlifecycle.Server, opts ...fxlifecycle.Option) fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle) (err error) {
		*server, err = fxlifecycle.Serve(lc, srv, opts...)
		return err
	})
}

// get makes one request on a connection of its own, which is closed when it returns.
func get(t *testing.T, client *http.Client, url string) (string, error) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func newClient(t *testing.T, cfg *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestServe_listens_from_start_to_stop(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode fx.Option) {
		var server *fxlifecycle.Server
		type key struct{}
		app := fxtest.New(t, mode, serve(&http.Server{
			Addr:        loopback,
			BaseContext: func(net.Listener) context.Context { return context.WithValue(t.Context(), key{}, "mine") },
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.Context().Value(key{}).(string))
			}),
		}, &server))
		assert.Nil(t, server.Addr(), "before start")
		app.RequireStart()
		client, url := newClient(t, nil), "http://"+server.Addr().String()
		body, err := get(t, client, url)
		require.NoError(t, err)
		assert.Equal(t, "mine", body, "BaseContext is the user's")
		app.RequireStop()
		_, err = get(t, client, url)
		assert.Error(t, err)
	})
}

func TestServe_a_taken_port_fails_start(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", loopback)
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	modes(t, func(t *testing.T, mode fx.Option) {
		var server *fxlifecycle.Server
		app := fx.New(fx.NopLogger, mode, serve(&http.Server{Addr: taken.Addr().String()}, &server))
		err := app.Start(t.Context())
		assert.EqualError(t, err, `fxlifecycle: Init "http.Server `+taken.Addr().String()+`": listen tcp `+taken.Addr().String()+`: bind: address already in use`)
		assert.Nil(t, server.Addr())
	})
}

func TestServe_serves_TLS_where_the_server_has_a_config(t *testing.T) {
	t.Parallel()
	model := httptest.NewUnstartedServer(nil) // for its certificate
	model.StartTLS()
	model.Close()
	pool := model.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs

	var server *fxlifecycle.Server
	app := fxtest.New(t, fxlifecycle.Coordinate(), serve(&http.Server{
		Addr:      loopback,
		TLSConfig: &tls.Config{Certificates: model.TLS.Certificates},
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.TLS.ServerName) }),
	}, &server))
	app.RequireStart()
	body, err := get(t, newClient(t, &tls.Config{RootCAs: pool, ServerName: "example.com"}), "https://"+server.Addr().String())
	require.NoError(t, err)
	assert.Equal(t, "example.com", body)
	app.RequireStop()
}

func TestServe_TLS_without_a_certificate_fails_start(t *testing.T) {
	t.Parallel()
	var server *fxlifecycle.Server
	app := fx.New(fx.NopLogger, serve(&http.Server{Addr: loopback, TLSConfig: &tls.Config{}}, &server, fxlifecycle.WithName("api")))
	assert.EqualError(t, app.Start(t.Context()),
		`fxlifecycle: Init "api": TLSConfig is set but has no certificate: set Certificates, GetCertificate or GetConfigForClient`)
}

func TestServe_finishes_what_is_in_hand_before_anything_is_destroyed(t *testing.T) {
	t.Parallel()
	s := &steps{}
	arrived, proceed := make(chan struct{}), make(chan struct{})
	var server *fxlifecycle.Server
	app := fxtest.New(t,
		fxlifecycle.Coordinate(),
		fx.Invoke(func(lc fx.Lifecycle) error {
			_, err := fxlifecycle.Manage(lc, &object{name: "db", steps: s, do: map[string]func(context.Context) error{
				"PreDestroy": func(context.Context) error { s.add("not before the request"); return nil },
			}})
			lc.Append(hookOf(s, "raw"))
			return err
		}),
		serve(&http.Server{Addr: loopback, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(arrived)
			<-proceed
			s.add("request")
		})}, &server),
	)
	app.RequireStart()
	done := make(chan error, 1)
	go func() {
		_, err := get(t, newClient(t, nil), "http://"+server.Addr().String())
		done <- err
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- app.Stop(context.Background()) }()
	close(proceed)
	require.NoError(t, <-done)
	require.NoError(t, <-stopped)
	assert.Equal(t, []string{"request", "db.PreDestroy", "not before the request", "raw.OnStop", "db.Destroy"}, s.list()[5:])
}

func TestServe_closes_the_connections_that_outlive_the_drain(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	var server *fxlifecycle.Server
	app := fxtest.New(t, fxlifecycle.Coordinate(), serve(&http.Server{
		Addr: loopback,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done() // ends when the connection is closed
		}),
	}, &server, fxlifecycle.WithStopTimeout(20*time.Millisecond)))
	app.RequireStart()
	done := make(chan error, 1)
	go func() {
		_, err := get(t, newClient(t, nil), "http://"+server.Addr().String())
		done <- err
	}()
	<-arrived
	err := app.Stop(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, `fxlifecycle: PreDestroy "http.Server 127.0.0.1:0"`)
	assert.Error(t, <-done, "Destroy closed the connection")
}

func TestServe_a_listener_that_breaks_is_logged_and_shuts_the_application_down(t *testing.T) {
	t.Parallel()
	listeners := make(chan net.Listener, 1)
	core, logs := observer.New(zap.ErrorLevel)
	var server *fxlifecycle.Server
	app := fxtest.New(t, fxlifecycle.Coordinate(), fx.Supply(zap.New(core)), serve(&http.Server{
		Addr:        loopback,
		BaseContext: func(l net.Listener) context.Context { listeners <- l; return context.Background() },
	}, &server))
	wait := app.Wait()
	app.RequireStart()
	require.NoError(t, (<-listeners).Close())
	assert.Equal(t, 1, (<-wait).ExitCode)
	err := app.Stop(t.Context())
	require.ErrorIs(t, err, net.ErrClosed, "stop reports it as well")
	require.Equal(t, 1, logs.Len())
	assert.Equal(t, "fxlifecycle: an HTTP server accepts no more connections", logs.All()[0].Message)
	assert.Contains(t, logs.All()[0].ContextMap()["caller"], "serve_test.go")
}

func TestServe_refuses_no_server(t *testing.T) {
	t.Parallel()
	_, err := fxlifecycle.Serve(fxtest.NewLifecycle(t), nil)
	assert.EqualError(t, err, "fxlifecycle: serve: the *http.Server is nil")
}

func TestServe_has_time_to_drain_where_others_have_claims_and_many_have_none(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	var server *fxlifecycle.Server
	var c *fxlifecycle.Coordinator
	opts := []fx.Option{fx.NopLogger, fx.Supply(zap.NewNop()), fxlifecycle.Coordinate(), fx.Populate(&c)}
	quick := func(context.Context) error { return nil }
	for range 100 {
		opts = append(opts, drainer("one of many", quick))
	}
	app := fx.New(append(opts, drainer("greedy", quick, fxlifecycle.WithStopTimeout(10*time.Second)), serve(&http.Server{
		Addr: loopback,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done() // it takes all the time that there is
		}),
	}, &server))...)
	require.NoError(t, app.Start(t.Context()))
	done := make(chan error, 1)
	go func() {
		_, err := get(t, newClient(t, nil), "http://"+server.Addr().String())
		done <- err
	}()
	<-arrived
	before := len(c.Journal())
	require.ErrorIs(t, stopWithin(app, time.Second), context.DeadlineExceeded)
	assert.Error(t, <-done)
	drain := c.Journal()[before]
	assert.Equal(t, "http.Server "+loopback, drain.Object)
	assert.Greater(t, drain.Duration, 200*time.Millisecond, "an equal share of the second would be 7 ms")
}
