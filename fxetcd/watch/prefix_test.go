package watch_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

func put(tb testing.TB, c *clientv3.Client, key, value string) int64 {
	tb.Helper()
	r, err := c.Put(tb.Context(), key, value)
	require.NoError(tb, err)
	return r.Header.Revision
}

func remove(tb testing.TB, c *clientv3.Client, key string) int64 {
	tb.Helper()
	r, err := c.Delete(tb.Context(), key)
	require.NoError(tb, err)
	return r.Header.Revision
}

func TestE11_a_watch_is_a_snapshot_and_then_each_change(t *testing.T) {
	t.Parallel()
	c := etcdtest.Start(t).Client(t)
	b := put(t, c, "p/b", "1")
	a := put(t, c, "p/a", "2")
	put(t, c, "other", "x")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []watch.Event
	var changed, deleted int64
	for e, err := range watch.Prefix(ctx, c, "p/") {
		require.NoError(t, err)
		got = append(got, e)
		switch len(got) {
		case 3:
			changed = put(t, c, "p/a", "3")
			put(t, c, "px", "x")
			deleted = remove(t, c, "p/b")
		case 5:
			cancel()
		}
	}
	assert.Equal(t, []watch.Event{
		{Type: watch.Put, Key: "p/b", Value: []byte("1"), Revision: b},
		{Type: watch.Put, Key: "p/a", Value: []byte("2"), Revision: a},
		{Type: watch.Synced, Revision: a + 1},
		{Type: watch.Put, Key: "p/a", Value: []byte("3"), Revision: changed},
		{Type: watch.Delete, Key: "p/b", Revision: deleted},
	}, got)
}
