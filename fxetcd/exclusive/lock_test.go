package exclusive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
	"github.com/fxkit/fxkit/internal/guard"
)

// holding runs a Lock until release is called, and returns when fn has begun.
func holding(tb testing.TB, x *exclusive.Exclusive, name string) (ctx context.Context, term exclusive.Term, release func() error) {
	tb.Helper()
	began, leave, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- x.Lock(context.Background(), name, func(c context.Context, t exclusive.Term) error {
			ctx, term = c, t
			close(began)
			<-leave
			return nil
		})
	}()
	select {
	case <-began:
	case err := <-done:
		require.FailNow(tb, "the lock is not to be had", "%v", err)
	}
	return ctx, term, sync.OnceValue(func() error { close(leave); return <-done })
}

func nothing(context.Context, exclusive.Term) error { return nil }

// keys are what stands in etcd below exclusive/.
func keys(tb testing.TB, etcd *clientv3.Client) []string {
	tb.Helper()
	got, err := etcd.Get(tb.Context(), "exclusive/", clientv3.WithPrefix())
	require.NoError(tb, err)
	var keys []string
	for _, kv := range got.Kvs {
		keys = append(keys, string(kv.Key))
	}
	return keys
}

// holder is the key of whoever has the lock "job".
func holder(tb testing.TB, etcd *clientv3.Client) *mvccpb.KeyValue {
	tb.Helper()
	got, err := etcd.Get(tb.Context(), "exclusive/lock/job/", clientv3.WithFirstCreate()...)
	require.NoError(tb, err)
	require.Len(tb, got.Kvs, 1)
	return got.Kvs[0]
}

// E10: one process's Locks exclude each other, as those of several do.
func TestE10_one_at_a_time(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	processes := []*exclusive.Exclusive{process(t, 5*time.Second, etcd.Endpoints()...), process(t, 5*time.Second, etcd.Endpoints()...)}
	var inside atomic.Int32
	var mu sync.Mutex
	var terms []int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			assert.NoError(t, processes[i%2].Lock(t.Context(), "job", func(ctx context.Context, term exclusive.Term) error {
				assert.EqualValues(t, 1, inside.Add(1))
				mu.Lock()
				terms = append(terms, term.Revision)
				mu.Unlock()
				inside.Add(-1)
				return nil
			}))
		})
	}
	wg.Wait()
	assert.Len(t, terms, 20)
	assert.IsIncreasing(t, terms, "a later term has a greater fencing token")
	assert.Empty(t, keys(t, connect(t, etcd.Endpoints()...)), "nothing is left behind")
}

// E10
func TestE10_names_do_not_collide_by_prefix(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	x := process(t, 5*time.Second, etcd.Endpoints()...)
	_, _, release := holding(t, x, "order")
	defer release()
	for _, other := range []string{"order/b", "order-admin", "orde", "order/", "a/../order", "наряд"} {
		assert.NoError(t, x.Lock(t.Context(), other, nothing), other)
	}
	assert.ErrorContains(t, x.Lock(t.Context(), "", nothing), "the name is empty")
}

func TestE10_fn_decides_what_Lock_returns(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	x := process(t, 5*time.Second, etcd.Endpoints()...)
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	err := x.Lock(ctx, "job", func(ctx context.Context, _ exclusive.Term) error {
		assert.Equal(t, "value", ctx.Value(key{}))
		return io.EOF
	})
	assert.ErrorIs(t, err, io.EOF)
	assert.ErrorContains(t, err, `exclusive: lock "job"`)

	var panicked *guard.PanicError
	assert.ErrorAs(t, x.Lock(t.Context(), "job", func(context.Context, exclusive.Term) error { panic("boom") }), &panicked)
	assert.NoError(t, x.Lock(t.Context(), "job", nothing), "a panic lets go too")
}

// E10, G5: nothing to run is nothing to wait for, least of all without a server.
func TestE10_without_fn_nobody_waits(t *testing.T) {
	t.Parallel()
	x := process(t, 5*time.Second, nobody(t))
	assert.EqualError(t, x.Lock(context.Background(), "job", nil), `exclusive: lock "job": fn is nil: there is nothing to run`)
	assert.EqualError(t, x.Lead(context.Background(), "job", nil), `exclusive: lead "job": fn is nil: there is nothing to run`)
}

// E10: Lock waits no longer than ctx, server up or down.
func TestE10_Lock_waits_no_longer_than_its_context(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	proxy := etcdtest.StartProxy(t, etcd.Endpoints()[0])
	x := process(t, 5*time.Second, proxy.Endpoint())
	_, _, release := holding(t, x, "job")

	queued := func(n int) bool { return len(keys(t, connect(t, etcd.Endpoints()...))) == n }
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- x.Lock(ctx, "job", nothing) }()
	require.Eventually(t, func() bool { return queued(2) }, 10*time.Second, 5*time.Millisecond)
	cancel(io.ErrClosedPipe)
	err := <-done
	assert.ErrorIs(t, err, io.ErrClosedPipe)
	assert.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return queued(1) }, 10*time.Second, 5*time.Millisecond, "who has gone does not stand in the queue")
	require.NoError(t, release())

	proxy.Drop()
	for _, name := range []string{"first request", "second request"} {
		deadline, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		assert.ErrorIs(t, x.Lock(deadline, name, nothing), context.DeadlineExceeded)
		cancel()
	}
	proxy.Heal()
	assert.NoError(t, x.Lock(t.Context(), "job", nothing))
}

// E10: fn's context ends with cause ErrLost, whatever took the lock away, and what is fenced fails from then on.
func TestE10_a_lost_lock_ends_its_context(t *testing.T) {
	t.Parallel()
	const byTime = "not renewed in time"
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, etcd *clientv3.Client, proxy *etcdtest.Proxy)
		why  string
	}{
		{"the lease is revoked", func(t *testing.T, etcd *clientv3.Client, _ *etcdtest.Proxy) {
			_, err := etcd.Revoke(t.Context(), clientv3.LeaseID(holder(t, etcd).Lease))
			require.NoError(t, err)
		}, "no longer exclusive: its (key was deleted: by hand, or with its lease, which expired or was revoked|lease has expired or was revoked)$"},
		{"the key is deleted by hand", func(t *testing.T, etcd *clientv3.Client, _ *etcdtest.Proxy) {
			_, err := etcd.Delete(t.Context(), string(holder(t, etcd).Key))
			require.NoError(t, err)
		}, "its key was deleted"},
		{"the network is gone", func(_ *testing.T, _ *clientv3.Client, proxy *etcdtest.Proxy) { proxy.Drop() }, byTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := etcdtest.Start(t)
			proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
			x := process(t, 2*time.Second, proxy.Endpoint())
			direct := connect(t, server.Endpoints()...)
			ctx, term, release := holding(t, x, "job")
			fenced := func() bool {
				done, err := direct.Txn(t.Context()).If(term.Guard).Then(clientv3.OpPut("written", "x")).Commit()
				require.NoError(t, err)
				return done.Succeeded
			}
			assert.True(t, fenced())

			// The next in the queue, on a network that works: when it has its turn, the one before knows that its own is over.
			next := process(t, 2*time.Second, server.Endpoints()...)
			turn := make(chan error)
			go func() {
				turn <- next.Lock(context.Background(), "job", func(context.Context, exclusive.Term) error {
					return ctx.Err()
				})
			}()
			tt.lose(t, direct, proxy)
			<-ctx.Done()
			assert.ErrorIs(t, context.Cause(ctx), exclusive.ErrLost)
			assert.Regexp(t, tt.why, context.Cause(ctx).Error())
			if err := <-turn; tt.why == byTime { // what somebody does to the key by hand is known to the next as soon as to the holder
				assert.ErrorIs(t, err, context.Canceled)
			}
			assert.False(t, fenced())
			proxy.Heal()
			err := release()
			assert.ErrorIs(t, err, exclusive.ErrLost, "an fn that returned nil has not been alone")
		})
	}
}

// E10: a restart of etcd within the TTL costs nobody his lock.
func TestE10_a_lock_outlives_a_restart_of_etcd(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	x := process(t, 10*time.Second, server.Endpoints()...)
	ctx, _, release := holding(t, x, "job")
	server.Restart()
	waits := make(chan error)
	go func() { waits <- x.Lock(t.Context(), "job", nothing) }()
	assert.NoError(t, ctx.Err())
	assert.NoError(t, release())
	assert.NoError(t, <-waits)
}

// E10: what etcd refuses for good is not waited for.
func TestE10_Lock_returns_a_refusal(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := connect(t, server.Endpoints()...)
	protect(t, admin, "root", "app")
	client := connectWith(t, func(cfg *clientv3.Config) { cfg.Username, cfg.Password = "app", "secret" }, server.Endpoints()...)
	x := processOf(t, client, exclusive.Config{})
	err := x.Lock(t.Context(), "job", nothing)
	assert.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	assert.EqualError(t, err, `exclusive: lock "job": queue: etcdserver: permission denied: `+
		`the client's user needs permission to read and write (readwrite) the prefix "exclusive/lock/job/"`)

	root := connectWith(t, func(cfg *clientv3.Config) { cfg.Username, cfg.Password = "root", "secret" }, server.Endpoints()...)
	_, err = root.RoleAdd(t.Context(), "locks")
	require.NoError(t, err)
	_, err = root.RoleGrantPermission(t.Context(), "locks", "exclusive/lock/job/", clientv3.GetPrefixRangeEnd("exclusive/lock/job/"),
		clientv3.PermissionType(clientv3.PermReadWrite))
	require.NoError(t, err)
	_, err = root.UserGrantRole(t.Context(), "app", "locks")
	require.NoError(t, err)
	assert.NoError(t, x.Lock(t.Context(), "job", nothing), "that is enough")
	assert.NoError(t, x.Close(t.Context()))
}

func TestNew_refuses_what_cannot_work(t *testing.T) {
	t.Parallel()
	_, err := exclusive.New(nil, exclusive.Config{})
	assert.ErrorContains(t, err, "client is nil")
	for _, tt := range []struct {
		cfg  exclusive.Config
		want string
	}{
		{exclusive.Config{TTL: time.Second}, "ttl: 1s: etcd's leases last whole seconds, and at least 2s"},
		{exclusive.Config{TTL: 2500 * time.Millisecond}, "ttl: 2.5s"},
		{exclusive.Config{Namespace: "/"}, `namespace: "/" has no name`},
	} {
		_, err := exclusive.New(&clientv3.Client{}, tt.cfg)
		assert.ErrorContains(t, err, tt.want, fmt.Sprint(tt.cfg))
	}
	assert.False(t, errors.Is(exclusive.ErrLost, exclusive.ErrStopped))
}
