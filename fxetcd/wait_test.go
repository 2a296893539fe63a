package fxetcd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// lateTo is an address where connections are closed at once for a while, and lead to the target from then on.
func lateTo(t *testing.T, target string, late time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	began := time.Now()
	all.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			if time.Since(began) < late {
				_ = from.Close()
				continue
			}
			to, err := net.Dial("tcp", target)
			if !assert.NoError(t, err) {
				return
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				all.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				})
			}
		}
	})
	return listener.Addr().String()
}

// E3: within dialTimeout means until its end, however rarely the client would try to connect by itself.
func TestE3_a_server_that_comes_late_is_found(t *testing.T) {
	t.Parallel()
	const dialTimeout = 8 * time.Second
	for name, tt := range map[string]struct {
		server string
		is     error
	}{
		"new enough": {etcdtest.Start(t).Endpoints()[0], nil},
		"too old":    {oldServer(t), clientv3.ErrOldCluster},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{
				Endpoints: []string{lateTo(t, tt.server, dialTimeout*82/100)}, DialTimeout: dialTimeout, RejectOldCluster: true,
				ConnectBackoff: fxetcd.ConnectBackoff{Base: time.Hour, Max: time.Hour},
			})
			if err == nil {
				defer func() { assert.NoError(t, c.Close()) }()
			}
			require.ErrorIs(t, err, tt.is)
		})
	}
}

// E3: a member that elects a leader refuses, which is no answer yet. The client's own repetitions have ended long before.
func TestE3_a_member_is_waited_for_until_it_has_a_leader(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	cluster.Partition(0)
	alone := connect(t, fxetcd.Config{Endpoints: cluster.Endpoints()[:1], Startup: fxetcd.Skip})
	require.Eventually(t, func() bool {
		status, err := alone.Status(within(t, plenty), cluster.Endpoints()[0])
		return err == nil && status.Leader == 0
	}, plenty, time.Millisecond)

	spans := tracetest.NewSpanRecorder()
	started := make(chan error, 1)
	go func() {
		c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: cluster.Endpoints()[:1], DialTimeout: plenty, MaxUnaryRetries: 1},
			fxetcd.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
		if err == nil {
			err = c.Close()
		}
		started <- err
	}()
	assert.Eventually(t, func() bool { return len(spans.Ended()) > 4 }, plenty, time.Millisecond, "it goes on asking")
	cluster.Heal(0)
	require.NoError(t, <-started)
}

var waited = regexp.MustCompile(`no etcd server answered within (\S+):`)

// E3
func TestE3_the_error_says_how_long_was_waited(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Second, time.Minute} {
		const callers = 4 * time.Second
		ctx := within(t, callers)
		began := time.Now()
		_, err := fxetcd.NewClient(ctx, fxetcd.Config{Endpoints: []string{nobody(t)}, DialTimeout: timeout})
		took := time.Since(began)
		assert.NoError(t, ctx.Err(), "a caller that leaves by then has the reasons before")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.Regexp(t, waited, err.Error())
		said, err := time.ParseDuration(waited.FindStringSubmatch(err.Error())[1])
		require.NoError(t, err)
		assert.LessOrEqual(t, said, took+time.Millisecond, "rounded")
		assert.Greater(t, said, min(timeout, callers)*8/10)
	}
}

// E3: who gives the start less time than dialTimeout gets the reasons all the same, and of each instance.
func TestE3_a_start_that_has_less_time_than_dialTimeout_says_why_it_failed(t *testing.T) {
	t.Parallel()
	silent := etcdtest.StartProxy(t, nobody(t))
	silent.Drop()
	app := fx.New(fx.NopLogger, fxetcd.Module, yaml(fmt.Sprintf(`
etcd:
  default: {dialTimeout: 1m}
  clients: {one: {endpoints: %q}, two: {endpoints: %q}, three: {endpoints: [%q, %q]}}
`, nobody(t), silent.Endpoint(), nobody(t), silent.Endpoint())))
	require.NoError(t, app.Err())
	err := app.Start(within(t, 3*time.Second))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Equal(t, 3, strings.Count(err.Error(), "no etcd server answered within"), "%v", err)
	assert.Equal(t, 2, strings.Count(err.Error(), "nothing listens there"), "%v", err)
	assert.Equal(t, 2, strings.Count(err.Error(), "it accepts connections, but says nothing"), "%v", err)
}

// E5: what each attempt was told is told, though the time ran out before the client's repetitions did.
func TestE5_a_check_says_that_it_is_the_leader_that_is_missing(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	var f *fxetcd.Factory
	start(t, fxetcd.Module, fx.Populate(&f), fx.Supply(zap.NewNop()), yaml(fmt.Sprintf(`etcd: {client: {endpoints: "%s"}}`, cluster.Endpoints()[0])))
	cluster.Partition(0)
	var err error
	require.Eventually(t, func() bool { // until then it does not know that it has lost it
		err = f.Check(within(t, 2*time.Second))[0].Err
		return errors.Is(err, rpctypes.ErrNoLeader)
	}, plenty, time.Millisecond, "%v", err)
	require.ErrorContains(t, err, "the server has lost its cluster's leader")
	assert.NotContains(t, err.Error(), "overloaded")
}

// E2, E3
func TestE3_a_call_before_the_start_says_that_the_server_is_not_started_yet(t *testing.T) {
	t.Parallel()
	var f *fxetcd.Factory
	app := fx.New(fx.NopLogger, fxetcd.Module, inProcess(t, "{default: {requestTimeout: 1s}}"), fx.Populate(&f))
	require.NoError(t, app.Err())
	c, err := f.Get("default")
	require.NoError(t, err)
	ctx := context.Background()
	for range 2 {
		_, err = c.Get(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "no connection: the application's etcd server is not started yet")
		ctx = within(t, time.Second) // a deadline of the caller's
	}
	require.NoError(t, f.Stop(t.Context()))
}
