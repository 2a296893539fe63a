package exclusive_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

func TestMain(m *testing.M) {
	if os.Getenv(workerVariable) != "" {
		work() // this process is one of those that are killed and paused
		return
	}
	goleak.VerifyTestMain(m)
}

// connect is a client that gives up on a dead connection soon.
func connect(tb testing.TB, endpoints ...string) *clientv3.Client {
	tb.Helper()
	return connectWith(tb, func(*clientv3.Config) {}, endpoints...)
}

func connectWith(tb testing.TB, change func(*clientv3.Config), endpoints ...string) *clientv3.Client {
	tb.Helper()
	cfg := clientv3.Config{Endpoints: endpoints, DialTimeout: 2 * time.Second, Logger: zap.NewNop()}
	change(&cfg)
	client, err := clientv3.New(cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { client.Close() })
	return client
}

// process is an Exclusive with a client of its own, as another process would have.
func process(tb testing.TB, ttl time.Duration, endpoints ...string) *exclusive.Exclusive {
	tb.Helper()
	return processOf(tb, connect(tb, endpoints...), exclusive.Config{TTL: ttl})
}

func processOf(tb testing.TB, client *clientv3.Client, cfg exclusive.Config, opts ...exclusive.Option) *exclusive.Exclusive {
	tb.Helper()
	x, err := exclusive.New(client, cfg, append([]exclusive.Option{exclusive.WithLogger(zap.NewNop())}, opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(tb, x.Close(ctx))
	})
	return x
}

// protect adds users, whose password is "secret" and of whom root may do everything, and turns authentication on.
func protect(tb testing.TB, admin *clientv3.Client, users ...string) {
	tb.Helper()
	for _, user := range users {
		_, err := admin.UserAdd(tb.Context(), user, "secret")
		require.NoError(tb, err)
	}
	_, err := admin.UserGrantRole(tb.Context(), "root", "root")
	require.NoError(tb, err)
	_, err = admin.AuthEnable(tb.Context())
	require.NoError(tb, err)
}
