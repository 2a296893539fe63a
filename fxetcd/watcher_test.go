package fxetcd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E3, E12: before etcd's client opens a stream it logs in. A deadline there, which is a call's, would end the watch for good.
func TestE12_with_a_username_a_watch_outlives_an_absence_longer_than_the_request_timeout(t *testing.T) {
	t.Parallel()
	for _, requireLeader := range []bool{true, false} {
		t.Run(fmt.Sprintf("requireLeader %v", requireLeader), func(t *testing.T) {
			t.Parallel()
			server := etcdtest.StartProcess(t)
			enableAuth(t, server.Client(t))
			cfg := fxetcd.Config{
				Endpoints: server.Endpoints(), Username: "root", Password: "root", RequireLeader: &requireLeader,
				RequestTimeout: 200 * time.Millisecond, Startup: fxetcd.Skip,
			}
			c := connect(t, cfg, fxetcd.WithLogger(zap.NewNop()))
			open := c.Watch(t.Context(), "k", clientv3.WithCreatedNotify())
			require.True(t, next(t, open).Created)

			server.Kill()
			late := connect(t, cfg, fxetcd.WithLogger(zap.NewNop()))
			begun := make(chan clientv3.WatchChan, 1) // Watch itself returns when the server is there
			go func() { begun <- late.Watch(t.Context(), "k", clientv3.WithRev(1)) }()
			for range 4 { // calls are not spared
				_, err := c.Get(t.Context(), "k")
				require.ErrorContains(t, err, "no answer within requestTimeout 200ms")
			}

			server.Restart()
			require.Eventually(t, func() bool {
				_, err := c.Put(within(t, plenty), "k", "v")
				return err == nil
			}, plenty, 10*time.Millisecond)
			require.Len(t, next(t, open).Events, 1, "the watch goes on")
			require.Len(t, next(t, <-begun).Events, 1, "and so does one that began without the server")
		})
	}
}

func next(t *testing.T, watching clientv3.WatchChan) clientv3.WatchResponse {
	t.Helper()
	select {
	case r, open := <-watching:
		require.True(t, open, "the watch has ended")
		require.NoError(t, r.Err())
		return r
	case <-within(t, plenty).Done():
		require.Fail(t, "the watch is silent")
		return clientv3.WatchResponse{}
	}
}
