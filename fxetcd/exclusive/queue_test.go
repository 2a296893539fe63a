package exclusive_test

import (
	"context"
	"fmt"
	"os"
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

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

// queueing runs a Lock of name in a process of its own, and returns when that has looked at the queue, and watches whoever is ahead.
func queueing(t *testing.T, ctx context.Context, cfg exclusive.Config, name string, fn func(context.Context, exclusive.Term) error, endpoints ...string) <-chan error {
	t.Helper()
	watches := make(chan struct{}, 10)
	client := connectWith(t, func(cfg *clientv3.Config) {
		cfg.DialOptions = []grpc.DialOption{grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				if method == "/etcdserverpb.Watch/Watch" {
					watches <- struct{}{}
				}
				return open(ctx, desc, cc, method, opts...)
			})}
	}, endpoints...)
	done := make(chan error, 1)
	x := processOf(t, client, cfg)
	go func() { done <- x.Lock(ctx, name, fn) }()
	select {
	case <-watches:
	case err := <-done:
		require.FailNow(t, "it does not queue", "%v", err)
	}
	return done
}

// E10: what is below a name's folder and is no place in the queue keeps nobody waiting, and what is one does, whatever is in between.
func TestE10_other_keys_do_not_queue(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := connect(t, server.Endpoints()...)
	strangers := func(names ...string) {
		for _, name := range names {
			_, err := admin.Put(t.Context(), "exclusive/lock/lock/"+name, "")
			require.NoError(t, err)
		}
	}
	inside := processOf(t, admin, exclusive.Config{Namespace: "exclusive/lock"}) // whose folders are inside that of a lock "lock"
	_, _, first := holding(t, inside, "y")
	defer first()
	_, _, second := holding(t, inside, "0123456789abcdef")
	defer second()
	strangers("README", "0123456789abcdeg", "0123456789abcde", "0123456789abcdef0", "0123456789abcdef/note", "0123456789ABCDEF", "")

	x := process(t, time.Minute, server.Endpoints()...)
	soon, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, x.Lock(soon, "lock", nothing))

	var held atomic.Bool
	held.Store(true)
	_, _, release := holding(t, x, "lock")
	defer release()
	strangers("a", "b", "c")
	turn := queueing(t, soon, exclusive.Config{TTL: time.Minute}, "lock", func(context.Context, exclusive.Term) error {
		assert.False(t, held.Load())
		return nil
	}, server.Endpoints()...)
	held.Store(false)
	require.NoError(t, release())
	require.NoError(t, <-turn)
}

// E10, G3: a wait that was in vain says whether somebody has the name or etcd is away.
func TestE10_a_wait_in_vain_says_why(t *testing.T) {
	t.Parallel()
	soon := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	host, err := os.Hostname()
	require.NoError(t, err)
	us := fmt.Sprintf("%s, process %d", host, os.Getpid())

	t.Run("no server, and a client that says so", func(t *testing.T) {
		t.Parallel()
		address := nobody(t)
		x := processOf(t, managed(t, address), exclusive.Config{})
		want := fmt.Sprintf("^exclusive: lock \"job\": context deadline exceeded; last: grant a lease: .*dial tcp %s: connect: connection refused$", address)
		err := x.Lock(soon(t), "job", nothing)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Regexp(t, want, err)
		assert.ErrorContains(t, x.Lead(soon(t), "job", nothing), "connection refused")
	})
	t.Run("no server, and a client that does not say so", func(t *testing.T) {
		t.Parallel()
		x := process(t, 5*time.Second, nobody(t))
		assert.EqualError(t, x.Lock(soon(t), "job", nothing), `exclusive: lock "job": etcd does not answer: context deadline exceeded`)
		assert.EqualError(t, x.Lead(soon(t), "job", nothing), `exclusive: lead "job": etcd does not answer: context deadline exceeded`)
	})
	t.Run("no time at all", func(t *testing.T) {
		t.Parallel()
		x := process(t, 5*time.Second, nobody(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.EqualError(t, x.Lock(ctx, "job", nothing), `exclusive: lock "job": context canceled`)
	})
	t.Run("a holder", func(t *testing.T) {
		t.Parallel()
		server := etcdtest.Start(t)
		cfg := exclusive.Config{TTL: 2 * time.Second}
		_, _, release := holding(t, processOf(t, connect(t, server.Endpoints()...), cfg), "job")
		defer release()
		ctx, cancel := context.WithCancel(t.Context())
		next := queueing(t, t.Context(), cfg, "job", nothing, server.Endpoints()...)
		last := queueing(t, ctx, cfg, "job", nothing, server.Endpoints()...)
		cancel()
		assert.EqualError(t, <-last, fmt.Sprintf(`exclusive: lock "job": held by %s: context canceled`, us))
		require.NoError(t, release())
		require.NoError(t, <-next)
	})
	t.Run("a holder, and then no server any more", func(t *testing.T) {
		t.Parallel()
		server := etcdtest.StartProcess(t)
		_, _, release := holding(t, process(t, 2*time.Second, server.Endpoints()...), "job")
		defer release()
		failed := make(chan struct{}, 10)
		core, _ := observer.New(zapcore.WarnLevel)
		log := zap.New(core, zap.Hooks(func(zapcore.Entry) error { failed <- struct{}{}; return nil }))
		x := processOf(t, managed(t, server.Endpoints()...), exclusive.Config{TTL: 2 * time.Second}, exclusive.WithLogger(log))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- x.Lock(ctx, "job", nothing) }()
		require.Eventually(t, func() bool { return len(keys(t, server.Client(t))) == 2 }, 15*time.Second, 5*time.Millisecond)
		server.Kill()
		<-failed
		cancel()
		err := <-done
		assert.Regexp(t, `^exclusive: lock "job": context canceled; last: (queue|grant a lease): .*(connection re|EOF)`, err, "refused or reset")
	})
}

// E10, G3: the one that is named is the one that has the lock, and not the one who is next.
func TestE10_the_holder_is_named_and_not_the_next(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := connect(t, server.Endpoints()...)
	_, _, release := holding(t, process(t, time.Minute, server.Endpoints()...), "job")
	defer release()
	_, err := admin.Put(t.Context(), string(holder(t, admin).Key), "ada", clientv3.WithIgnoreLease())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	cfg := exclusive.Config{TTL: time.Minute}
	next := queueing(t, ctx, cfg, "job", nothing, server.Endpoints()...)
	last := queueing(t, ctx, cfg, "job", nothing, server.Endpoints()...)
	cancel()
	assert.EqualError(t, <-next, `exclusive: lock "job": held by ada: context canceled`)
	assert.EqualError(t, <-last, `exclusive: lock "job": held by ada: context canceled`)
	require.NoError(t, release())
}
