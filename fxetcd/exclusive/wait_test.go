package exclusive_test

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
	"github.com/fxkit/fxkit/fxetcd/internal/freeport"
)

// managed is a client of fxetcd's, which a member without a leader refuses.
func managed(t *testing.T, endpoints ...string) *clientv3.Client {
	t.Helper()
	client, err := fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: endpoints, Startup: fxetcd.Skip}, fxetcd.WithLogger(zap.NewNop()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	port, err := freeport.Reserve("127.0.0.1")
	require.NoError(t, err)
	t.Cleanup(port.Release)
	return port.Address()
}

// E10: the order is that in which the calls reached etcd, also of those who could not ask for a while.
func TestE10_an_outage_costs_nobody_its_place(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	admin := cluster.Client(t)
	cfg := exclusive.Config{TTL: time.Minute}
	_, _, release := holding(t, processOf(t, managed(t, cluster.Endpoints()...), cfg), "job")
	turns := make(chan int)
	done := make(chan error)
	failed := make(chan string, 100)
	for i := range 3 {
		core, _ := observer.New(zapcore.WarnLevel)
		log := zap.New(core, zap.Hooks(func(e zapcore.Entry) error { failed <- e.Message; return nil }))
		x := processOf(t, managed(t, cluster.Endpoints()...), cfg, exclusive.WithLogger(log))
		go func() {
			done <- x.Lock(context.Background(), "job", func(context.Context, exclusive.Term) error {
				turns <- i
				return nil
			})
		}()
		require.Eventually(t, func() bool { return len(keys(t, admin)) == i+2 }, 15*time.Second, 5*time.Millisecond)
	}
	before := keys(t, admin)

	leader := cluster.Leader()
	cluster.Stop(leader)
	cluster.Stop((leader + 1) % 3)
	for range 3 {
		assert.Equal(t, "waiting for etcd", <-failed)
	}
	cluster.Restart(leader)
	cluster.Restart((leader + 1) % 3)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := admin.Put(ctx, "quorum", "")
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	assert.Equal(t, before, keys(t, admin))
	require.NoError(t, release())
	for i := range 3 {
		assert.Equal(t, i, <-turns)
		assert.NoError(t, <-done)
	}
}

// E10, G3: who waited in vain is told for what.
func TestE10_the_end_of_a_wait_says_what_it_waited_for(t *testing.T) {
	t.Parallel()
	x := processOf(t, managed(t, nobody(t)), exclusive.Config{})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, io.ErrNoProgress)
	defer cancel()
	err := x.Lock(ctx, "job", nothing)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, io.ErrNoProgress)
	assert.ErrorContains(t, err, "connection refused")
}

// E10, G5: a closed client is waited for by nobody.
func TestE10_a_wait_ends_with_its_client(t *testing.T) {
	t.Parallel()
	client := connect(t, nobody(t))
	x := processOf(t, client, exclusive.Config{})
	waits := make(chan error)
	go func() { waits <- x.Lock(context.Background(), "job", nothing) }()
	require.NoError(t, client.Close())
	err := <-waits
	assert.ErrorIs(t, err, exclusive.ErrStopped)
	assert.ErrorContains(t, err, "the etcd client is closed")
}

// E10: with a user's name each watch is a stream and a login of its own. A waiter has one, however often it looks, and any namespace will do.
func TestE10_a_waiter_watches_once(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := connect(t, server.Endpoints()...)
	protect(t, admin, "root")

	var streams, looks atomic.Int32
	asRoot := func(cfg *clientv3.Config) {
		cfg.Username, cfg.Password = "root", "secret"
		cfg.DialOptions = []grpc.DialOption{
			grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				if method == "/etcdserverpb.Watch/Watch" {
					streams.Add(1)
				}
				return open(ctx, desc, cc, method, opts...)
			}),
			grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				if method == "/etcdserverpb.KV/Txn" {
					looks.Add(1)
				}
				return invoke(ctx, method, in, out, cc, opts...)
			}),
		}
	}
	cfg := exclusive.Config{TTL: 2 * time.Second, Namespace: "прод"}
	first := processOf(t, connectWith(t, asRoot, server.Endpoints()...), cfg)
	ctx, _, release := holding(t, first, "job")
	require.Eventually(t, func() bool { return streams.Load() == 1 }, 15*time.Second, time.Millisecond, "the holder's own key is watched")
	waiter := processOf(t, connectWith(t, asRoot, server.Endpoints()...), cfg)
	streams.Store(0)
	looks.Store(0)
	turn := make(chan error)
	go func() { turn <- waiter.Lock(t.Context(), "job", nothing) }()
	require.Eventually(t, func() bool { return looks.Load() >= 4 }, 30*time.Second, 5*time.Millisecond, "the queue, and three looks")
	assert.EqualValues(t, 1, streams.Load())

	root := connectWith(t, asRoot, server.Endpoints()...)
	key, err := root.Get(t.Context(), "прод/lock/job/", clientv3.WithFirstCreate()...)
	require.NoError(t, err)
	_, err = root.Delete(t.Context(), string(key.Kvs[0].Key))
	require.NoError(t, err)
	<-ctx.Done()
	assert.ErrorContains(t, context.Cause(ctx), "its key was deleted")
	require.NoError(t, <-turn)
	require.ErrorIs(t, release(), exclusive.ErrLost)
}

// G3: what a leader's fn says after the lead is lost stands in the log, since Lead goes on.
func TestE10_what_fn_says_after_a_loss_is_logged(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := connect(t, server.Endpoints()...)
	core, logs := observer.New(zapcore.WarnLevel)
	x := processOf(t, connect(t, server.Endpoints()...), exclusive.Config{}, exclusive.WithLogger(zap.New(core)))
	terms := 0
	require.ErrorIs(t, x.Lead(t.Context(), "job", func(ctx context.Context, _ exclusive.Term) error {
		if terms++; terms > 1 {
			return io.EOF
		}
		_, err := admin.Delete(t.Context(), "exclusive/", clientv3.WithPrefix())
		require.NoError(t, err)
		<-ctx.Done()
		panic("boom")
	}), io.EOF)
	entries := logs.FilterMessage("lead lost, campaigning again").All()
	require.Len(t, entries, 1)
	said := fmt.Sprint(entries[0].ContextMap())
	assert.Contains(t, said, "its key was deleted")
	assert.Contains(t, said, "panic: boom")
}
