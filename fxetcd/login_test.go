package fxetcd_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E1: the first call of a client with a username is refused, and made again with a token.
func TestE1_one_repetition_is_enough_for_a_client_with_a_username(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	enableAuth(t, s.Client(t))
	connect(t, fxetcd.Config{Endpoints: s.Endpoints(), Username: "app", Password: password, MaxUnaryRetries: 1})
}

// E3: a login costs the server the time of a hash, which is made to take long. Instances that log in as the same user share one.
func TestE3_at_least_128_instances_with_a_username_start_at_once(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: t.TempDir()}, embedded.WithLogger(zap.NewNop())) // with etcd's own cost
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	enableAuth(t, etcdtest.Client(t, s.Endpoints()...))
	var text strings.Builder
	text.WriteString("etcd:\n  default: {username: app, password: " + password + "}\n  clients:\n")
	for n := range 128 {
		fmt.Fprintf(&text, "    i%d: {endpoints: %q}\n", n, s.Endpoints()[0])
	}
	spans := tracetest.NewSpanRecorder()
	start(t, fxetcd.Module, yaml(text.String()), fx.Supply(zap.NewNop()),
		fx.Provide(func() trace.TracerProvider { return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)) }))
	logins := 0
	for _, span := range spans.Ended() {
		if span.Name() == "etcdserverpb.Auth/Authenticate" {
			logins++
		}
	}
	assert.Less(t, logins, 100, "however many cores the server has, and however busy they are")
}

// E3: another's login may be stuck where one's own is not, or have less time.
func TestE3_another_clients_login_is_waited_for_only_so_long(t *testing.T) {
	t.Parallel()
	for _, lasts := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: []string{"unix:///nowhere/etcd.sock"}, Startup: fxetcd.Skip}, fxetcd.WithLogger(zap.NewNop()))
			require.NoError(t, err)
			another, cancel := context.WithTimeout(t.Context(), lasts)
			anothers := make(chan error, 1)
			go func() {
				_, err := c.Authenticate(another, "app", password)
				anothers <- err
			}()
			synctest.Wait()
			began := time.Now()
			short, end := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer end()
			_, err = c.Authenticate(short, "app", password)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 500*time.Millisecond, time.Since(began))

			began = time.Now()
			_, err = c.Authenticate(context.Background(), "app", password)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 5*time.Second, time.Since(began))
			require.ErrorContains(t, err, "no such file or directory", "it has tried by itself")
			cancel()
			require.Error(t, <-anothers)
			require.NoError(t, c.Close())
		})
	}
}
