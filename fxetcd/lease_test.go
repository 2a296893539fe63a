package fxetcd_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E4: a lease that was lost is forgotten, though the context under which it was kept lasts.
func TestE4_stop_revokes_the_leases_that_are_still_kept_and_no_other(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	spans := tracetest.NewSpanRecorder()
	var c *clientv3.Client
	app := fxtest.New(t, fx.NopLogger, fxetcd.Module, fx.Populate(&c), yaml(fmt.Sprintf("etcd: {client: {endpoints: %q}}", s.Endpoints()[0])),
		fx.Provide(func() trace.TracerProvider { return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)) }))
	app.RequireStart()
	keep := func(ctx context.Context) (clientv3.LeaseID, <-chan *clientv3.LeaseKeepAliveResponse) {
		lease, err := c.Grant(within(t, plenty), 3)
		require.NoError(t, err)
		alive, err := c.KeepAlive(ctx, lease.ID)
		require.NoError(t, err)
		response := <-alive
		require.NotNil(t, response, "the lease lives")
		require.Equal(t, lease.ID, response.ID)
		return lease.ID, alive
	}
	ended := func(alive <-chan *clientv3.LeaseKeepAliveResponse) {
		for {
			select {
			case _, open := <-alive:
				if !open {
					return
				}
			case <-within(t, plenty).Done():
				require.Fail(t, "the keepalive goes on")
			}
		}
	}
	lost, aliveOfLost := keep(context.Background())
	_, kept := keep(context.Background())
	cancelled, cancel := context.WithCancel(t.Context())
	_, left := keep(cancelled)
	_, err := s.Client(t).Revoke(within(t, plenty), lost)
	require.NoError(t, err)
	ended(aliveOfLost)
	cancel()
	ended(left)

	app.RequireStop()
	revoked := 0
	for _, span := range spans.Ended() {
		if span.Name() == "etcdserverpb.Lease/LeaseRevoke" {
			revoked++
		}
	}
	assert.Equal(t, 1, revoked)
	ended(kept)
	require.Eventually(t, func() bool { // the one that was left expires
		leases, err := s.Client(t).Leases(within(t, plenty))
		return err == nil && len(leases.Leases) == 0
	}, plenty, 50*time.Millisecond)
}
