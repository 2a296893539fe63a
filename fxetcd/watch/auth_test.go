package watch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

// protect turns authentication on: root may do everything, reader may read what begins with p/.
func protect(tb testing.TB, plain *clientv3.Client) {
	tb.Helper()
	ctx := tb.Context()
	for _, step := range []func() error{
		func() error { _, err := plain.UserAdd(ctx, "root", "r"); return err },
		func() error { _, err := plain.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := plain.UserAdd(ctx, "reader", "x"); return err },
		func() error { _, err := plain.RoleAdd(ctx, "p"); return err },
		func() error { _, err := plain.UserGrantRole(ctx, "reader", "p"); return err },
		func() error { return grant(tb, plain) },
		func() error { _, err := plain.AuthEnable(ctx); return err },
	} {
		require.NoError(tb, step())
	}
}

func grant(tb testing.TB, c *clientv3.Client) error {
	_, err := c.RoleGrantPermission(tb.Context(), "p", "p/", clientv3.GetPrefixRangeEnd("p/"), clientv3.PermissionType(clientv3.PermRead))
	return err
}

func as(user, password string) func(*clientv3.Config) {
	return func(cfg *clientv3.Config) { cfg.Username, cfg.Password = user, password }
}

// On the stream that a client shares among watches, a new watch fails for as long as another one lives once the stream's token has expired.
func TestE11_watches_survive_the_expiry_of_their_token(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t, etcdtest.WithTokenTTL(time.Second))
	protect(t, server.Client(t))
	root, _ := newClient(t, server.Endpoints(), as("root", "r"))
	reader, _ := newClient(t, server.Endpoints(), as("reader", "x"))
	put(t, root, "p/1", "1")
	early := consume(t, reader, "p/")
	early.await(t, "the snapshot", early.holds("p/1", "1"))

	raw := reader.Watch(t.Context(), "p/raw", clientv3.WithCreatedNotify())
	require.True(t, (<-raw).Created)
	// The token expires: a new watch on the old stream is refused, which is what this test is about.
	require.Eventually(t, func() bool {
		other := <-reader.Watch(t.Context(), "p/other", clientv3.WithCreatedNotify())
		return other.Err() != nil && strings.Contains(other.Err().Error(), "invalid auth token")
	}, patience, 2500*time.Millisecond, "each use of a token prolongs it")

	late := consume(t, reader, "p/2")
	late.await(t, "the snapshot", func() bool { return len(late.groups) == 1 })
	put(t, root, "p/2", "2")
	late.await(t, "a change", late.holds("p/2", "2"))
	early.await(t, "a change", early.holds("p/2", "2"))
	server.Restart()
	put(t, root, "p/2", "3")
	late.await(t, "a change after a restart", late.holds("p/2", "3"))
	early.await(t, "a change after a restart", early.holds("p/2", "3"))
	assert.Empty(t, early.errs)
	assert.Empty(t, late.errs)
}

func TestE11_a_watch_that_is_refused_says_so_once_and_goes_on_when_it_may(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	protect(t, server.Client(t))
	root, _ := newClient(t, server.Endpoints(), as("root", "r"))
	reader, n := newClient(t, server.Endpoints(), as("reader", "x"))
	put(t, root, "q/1", "1")
	k := consume(t, reader, "q/")
	k.await(t, "the refusal", func() bool { return len(k.errs) == 1 })
	assert.EqualError(t, k.errs[0], `watch: prefix "q/": etcdserver: permission denied: the client's user needs permission to read the prefix`)
	require.ErrorIs(t, k.errs[0], rpctypes.ErrPermissionDenied)

	late := consume(t, reader, "q/")
	late.await(t, "the refusal, for one who comes later", func() bool { return len(late.errs) == 1 })
	_, err := watch.Mirror(t.Context(), reader, "q/", func(string, []byte) (int, error) { return 0, nil })
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	assert.EqualError(t, err, `watch: mirror "q/": no snapshot yet: `+k.errs[0].Error())

	before := n.total()
	seen := n.count(rangeMethod)
	require.Eventually(t, func() bool { return n.count(rangeMethod) > seen+1 }, patience, time.Millisecond, "it goes on trying")
	assert.Less(t, n.total()-before, 20)
	_, err = root.RoleGrantPermission(t.Context(), "p", "q/", clientv3.GetPrefixRangeEnd("q/"), clientv3.PermissionType(clientv3.PermRead))
	require.NoError(t, err)
	k.await(t, "the snapshot", k.holds("q/1", "1"))
	late.await(t, "the snapshot", late.holds("q/1", "1"))
	assert.Len(t, k.errs, 1)
	assert.Len(t, late.errs, 1)

	_, err = root.RoleRevokePermission(t.Context(), "p", "q/", clientv3.GetPrefixRangeEnd("q/"))
	require.NoError(t, err)
	server.Restart()
	k.await(t, "another refusal", func() bool { return len(k.errs) == 2 })
	late.await(t, "another refusal", func() bool { return len(late.errs) == 2 })
}

func TestE11_who_may_not_read_the_past_is_told_once(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	protect(t, server.Client(t))
	root, _ := newClient(t, server.Endpoints(), as("root", "r"))
	reader, n := newClient(t, server.Endpoints(), as("reader", "x"))
	put(t, root, "p/1", "1")
	k := consume(t, reader, "p/")
	k.await(t, "the snapshot", k.holds("p/1", "1"))
	put(t, root, "p/1", "2")
	k.await(t, "a change, which shows that the watch is there", k.holds("p/1", "2"))
	_, err := root.RoleRevokePermission(t.Context(), "p", "p/", clientv3.GetPrefixRangeEnd("p/"))
	require.NoError(t, err)
	opened := n.count(watchMethod)
	late := consume(t, reader, "p/", watch.FromRevision(1))
	eventually(t, func() bool { return n.count(watchMethod) > opened+3 }, "it goes on trying")
	late.await(t, "the refusal", func() bool { return len(late.errs) > 0 })
	require.NoError(t, grant(t, root))
	late.await(t, "the past", late.holds("p/1", "2"))
	require.Len(t, late.errs, 1)
	assert.EqualError(t, late.errs[0], `watch: prefix "p/": etcdserver: permission denied: the client's user needs permission to read the prefix`)
}
