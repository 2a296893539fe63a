package exclusive_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

const keepAliveMethod = "/etcdserverpb.Lease/LeaseKeepAlive"

// renewed waits until the server has heard of a lease again: the time that it has left has gone down, and up.
func renewed(tb testing.TB, etcd *clientv3.Client, id clientv3.LeaseID, ttl int64) {
	tb.Helper()
	low := false
	require.Eventually(tb, func() bool {
		left, err := etcd.TimeToLive(tb.Context(), id)
		if !assert.NoError(tb, err) {
			return true
		}
		low = low || left.TTL <= ttl-2
		return low && left.TTL > ttl-2
	}, 30*time.Second, 5*time.Millisecond)
}

// received counts what arrives on a stream.
type received struct {
	grpc.ClientStream
	n *atomic.Int32
}

func (r received) RecvMsg(m any) error {
	err := r.ClientStream.RecvMsg(m)
	if err == nil {
		r.n.Add(1)
	}
	return err
}

// E10: the proof counts from when the renewal was sent, and not from when its answer came, more than a second later.
func TestE10_on_a_slow_link_a_context_ends_before_anybody_else_has_its_turn(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	var answers atomic.Int32
	slow := connectWith(t, func(cfg *clientv3.Config) {
		cfg.DialOptions = []grpc.DialOption{grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				stream, err := open(ctx, desc, cc, method, opts...)
				if method != keepAliveMethod || err != nil {
					return stream, err
				}
				return received{stream, &answers}, nil
			})}
	}, proxy.Endpoint())
	ctx, _, release := holding(t, processOf(t, slow, exclusive.Config{TTL: 6 * time.Second}), "job")
	proxy.Delay(700 * time.Millisecond)
	late := answers.Load() + 2 // of which the first may have been under way
	require.Eventually(t, func() bool { return answers.Load() >= late }, 30*time.Second, time.Millisecond)
	proxy.Drop()
	require.NoError(t, process(t, 6*time.Second, server.Endpoints()...).Lock(t.Context(), "job", func(context.Context, exclusive.Term) error {
		assert.ErrorIs(t, context.Cause(ctx), exclusive.ErrLost)
		return nil
	}))
	proxy.Heal()
	require.ErrorIs(t, release(), exclusive.ErrLost)
}

// E10: a context that its caller ends tells fn to come to an end. Until it has, nobody else has its turn.
func TestE10_whoever_finishes_after_the_end_of_its_context_is_still_alone(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	direct := connect(t, server.Endpoints()...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, process(t, 5*time.Second, server.Endpoints()...).Lock(ctx, "job", func(ctx context.Context, term exclusive.Term) error {
		id := clientv3.LeaseID(holder(t, direct).Lease)
		cancel()
		<-ctx.Done()
		assert.NotErrorIs(t, context.Cause(ctx), exclusive.ErrLost)
		renewed(t, direct, id, 5)
		renewed(t, direct, id, 5)
		fenced, err := direct.Txn(t.Context()).If(term.Guard).Then(clientv3.OpPut("last", "")).Commit()
		require.NoError(t, err)
		assert.True(t, fenced.Succeeded)
		return nil
	}))
}

// E10: and if it was not alone to the end, Lock says so.
func TestE10_a_lock_that_is_lost_after_the_end_of_its_context_is_lost(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	next := process(t, 2*time.Second, server.Endpoints()...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := process(t, 2*time.Second, proxy.Endpoint()).Lock(ctx, "job", func(context.Context, exclusive.Term) error {
		cancel()
		proxy.Drop()
		return next.Lock(t.Context(), "job", nothing)
	})
	proxy.Heal()
	assert.ErrorIs(t, err, exclusive.ErrLost)
	assert.ErrorContains(t, err, "not renewed in time")
}

// E10: fn may return the moment its context ends, while those that it has made of it are still being ended.
func TestE10_whoever_returns_because_of_a_loss_has_lost(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	direct := connect(t, server.Endpoints()...)
	x := process(t, time.Minute, server.Endpoints()...)
	for range 5 {
		require.ErrorIs(t, x.Lock(t.Context(), "job", func(ctx context.Context, _ exclusive.Term) error {
			for range 50_000 {
				_, cancel := context.WithCancel(ctx)
				t.Cleanup(cancel)
			}
			_, err := direct.Delete(t.Context(), "exclusive/", clientv3.WithPrefix())
			<-ctx.Done()
			return err
		}), exclusive.ErrLost)
	}
}

// E10: a member of a cluster that has lost the others ends the stream of renewals, rather than sit on it, only if it is asked to.
func TestE10_renewals_ask_for_a_leader(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	var streams, asked atomic.Int32
	spy := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if method == keepAliveMethod {
			streams.Add(1)
			sent, _ := metadata.FromOutgoingContext(ctx)
			if len(sent.Get(rpctypes.MetadataRequireLeaderKey)) > 0 {
				asked.Add(1)
			}
		}
		return open(ctx, desc, cc, method, opts...)
	}
	client := connectWith(t, func(cfg *clientv3.Config) { cfg.DialOptions = []grpc.DialOption{grpc.WithChainStreamInterceptor(spy)} }, server.Endpoints()...)
	_, _, release := holding(t, processOf(t, client, exclusive.Config{}), "job")
	require.Eventually(t, func() bool { return streams.Load() > 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, release())
	assert.Equal(t, streams.Load(), asked.Load())
}

// E10: the end of the connection is a reason to ask the server at once, and not when the next renewal is due.
func TestE10_a_wiped_server_ends_the_term_as_soon_as_it_is_back(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	ctx, _, release := holding(t, process(t, time.Minute, server.Endpoints()...), "job")
	server.Wipe()
	server.Restart()
	select {
	case <-ctx.Done():
	case <-time.After(15 * time.Second): // a third of the TTL is more
		assert.Fail(t, "the term goes on")
	}
	assert.ErrorContains(t, context.Cause(ctx), "its lease has expired or was revoked")
	assert.ErrorIs(t, release(), exclusive.ErrLost)
}
