package watch_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

// first is the first n events of a watch.
func first(t *testing.T, c *clientv3.Client, n int, opts ...watch.Option) (got []watch.Event) {
	t.Helper()
	for e, err := range watch.Prefix(t.Context(), c, "p/", opts...) {
		require.NoError(t, err)
		if got = append(got, e); len(got) == n {
			break
		}
	}
	return got
}

func brief(events []watch.Event) (lines []string) {
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%v %s=%s @%d", e.Type, e.Key, e.Value, e.Revision))
	}
	return lines
}

func TestE11_a_watch_from_a_revision_starts_after_it_with_no_snapshot(t *testing.T) {
	t.Parallel()
	for name, warm := range map[string]bool{"the first of the prefix": false, "when the prefix is watched already": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := etcdtest.Start(t)
			c, n := newClient(t, server.Endpoints())
			put(t, c, "p/a", "1") // revision 2
			if warm {
				k := consume(t, c, "p/")
				k.await(t, "the snapshot", k.holds("p/a", "1"))
			}
			put(t, c, "p/b", "2")
			put(t, c, "other", "x")
			_, err := c.Txn(t.Context()).Then(clientv3.OpDelete("p/a"), clientv3.OpPut("p/c", "3"), clientv3.OpPut("p/d", "4")).Commit()
			require.NoError(t, err)
			put(t, c, "p/d", "5")
			want := []string{"Put p/a=1 @2", "Put p/b=2 @3", "Delete p/a= @5", "Put p/c=3 @5", "Put p/d=4 @5", "Put p/d=5 @6"}
			for revision, from := range map[int64]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 5} {
				assert.Equal(t, want[from:], brief(first(t, c, len(want)-from, watch.FromRevision(revision))), "from %d", revision)
			}
			k := consume(t, c, "p/", watch.FromRevision(6))
			k.await(t, "nothing", func() bool { return len(k.groups) == 0 })
			put(t, c, "p/d", "6")
			k.await(t, "the change after", k.holds("p/d", "6"))
			assert.Equal(t, []string{"Put p/d=6 @7"}, brief(k.events()))
			if warm {
				assert.Less(t, n.count(watchMethod), 4, "the latest changes are in memory")
			}
		})
	}
}

func TestE11_a_long_history_is_read_in_pages(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	var want []int64
	for i := range 50 {
		var ops []clientv3.Op
		for j := range 100 {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("p/%d", j), fmt.Sprint(i)))
		}
		r, err := c.Txn(t.Context()).Then(ops...).Commit()
		require.NoError(t, err)
		want = append(want, r.Header.Revision)
	}
	for range 2 {
		k := consume(t, c, "p/", watch.FromRevision(1))
		k.await(t, "the last", k.holds("p/99", "49"))
		var got []int64
		for _, g := range k.groups {
			assert.Len(t, g, 100)
			got = append(got, g[0].Revision)
		}
		assert.Equal(t, want, got)
	}
}

func TestE11_where_a_watch_cannot_resume_it_says_Reset_and_starts_with_a_snapshot(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	put(t, c, "p/a", "1")
	put(t, c, "p/a", "2")
	put(t, c, "p/b", "3") // revision 4
	compact(t, c, 3)
	snapshot := []string{"Put p/a=2 @3", "Put p/b=3 @4", "Synced = @4"}

	assert.Equal(t, append([]string{"Reset = @1"}, snapshot...), brief(first(t, c, 4, watch.FromRevision(1))), "compacted")
	assert.Equal(t, append([]string{"Reset = @1000"}, snapshot...), brief(first(t, c, 4, watch.FromRevision(1000))), "not come so far")
	assert.Equal(t, []string{"Put p/b=3 @4"}, brief(first(t, c, 1, watch.FromRevision(3))), "what is left of the history is enough")
	assert.Equal(t, append([]string{"Reset = @1"}, snapshot...), brief(first(t, c, 4, watch.After("2.1"))), "compacted, in the middle of a revision")
}

// A revision that another client has seen may be ahead of the watch that is shared here, but not of the server.
func TestE11_a_watch_resumes_after_a_revision_that_it_has_not_come_to(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	writer := server.Client(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, _ := newClient(t, []string{proxy.Endpoint()})
	put(t, writer, "p/a", "1")
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", k.holds("p/a", "1"))
	proxy.Drop()
	put(t, writer, "p/a", "2")
	put(t, writer, "p/b", "3")
	seen := put(t, writer, "p/c", "4")
	ahead := consume(t, c, "p/", watch.FromRevision(seen))
	future := consume(t, c, "p/", watch.FromRevision(seen+1000))
	proxy.Heal()
	future.await(t, "a snapshot", future.holds("p/c", "4"))
	k.await(t, "the other's last", k.holds("p/c", "4"))
	next := put(t, writer, "p/c", "5")
	ahead.await(t, "the next", ahead.holds("p/c", "5"))
	assert.Equal(t, []string{fmt.Sprintf("Put p/c=5 @%d", next)}, brief(ahead.events()))
	assert.Equal(t, watch.Reset, future.events()[0].Type)

	server.Wipe()
	server.Restart()
	put(t, writer, "p/a", "another life")
	ahead.await(t, "a change of revision 2", ahead.holds("p/a", "another life"))
	assert.Equal(t, keys(t, c, "p/"), ahead.state())
}

// Several keys may share one revision: whoever stops among them must get the rest, and not the first again.
func TestE11_a_watch_resumes_after_any_event(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	put(t, c, "p/a", "1")
	ops := []clientv3.Op{clientv3.OpPut("p/c", "1"), clientv3.OpPut("other", "x"), clientv3.OpPut("p/b", "1"), clientv3.OpDelete("p/a")}
	_, err := c.Txn(t.Context()).Then(ops...).Commit()
	require.NoError(t, err)
	put(t, c, "p/c", "2")
	var all []watch.Event
	var ids []string
	for group, err := range watch.Revisions(t.Context(), c, "p/", watch.FromRevision(1)) {
		require.NoError(t, err)
		for i, e := range group {
			all, ids = append(all, e), append(ids, watch.ID(group, i))
		}
		if len(all) == 5 {
			break
		}
	}
	assert.Equal(t, []string{"2", "3.1", "3.2", "3", "4"}, ids)
	for i, id := range ids[:4] {
		assert.Equal(t, brief(all[i+1:]), brief(first(t, c, 4-i, watch.After(id))), "after %s", id)
		other, _ := newClient(t, server.Endpoints()) // whose watch has to ask the server for the past
		assert.Equal(t, brief(all[i+1:]), brief(first(t, other, 4-i, watch.After(id))), "after %s", id)
	}
	assert.Equal(t, watch.Synced, first(t, c, 3, watch.After(""))[2].Type, "the empty id is a snapshot")
}

func TestE11_the_ids_of_a_change_set_never_lead_past_its_rest(t *testing.T) {
	t.Parallel()
	set := []watch.Event{
		{Type: watch.Delete, Key: "x", Revision: 5},
		{Type: watch.Delete, Key: "y", Revision: 5},
		{Type: watch.Put, Key: "a", Revision: 7},
		{Type: watch.Put, Key: "b", Revision: 7},
		{Type: watch.Put, Key: "c", Revision: 9},
		{Type: watch.Synced, Revision: 12},
	}
	var ids []string
	for i := range set {
		ids = append(ids, watch.ID(set, i))
	}
	assert.Equal(t, []string{"4", "5", "6", "7", "9", "12"}, ids)
	assert.Equal(t, "9", watch.ID([]watch.Event{{Type: watch.Put, Key: "a", Revision: 9}, {Type: watch.Synced, Revision: 9}}, 0),
		"Synced adds nothing that could be missed")

	const toReset = "9223372036854775807" // which no server reaches
	again := []watch.Event{{Type: watch.Reset, Revision: 3}, {Type: watch.Put, Key: "a", Revision: 9}, {Type: watch.Synced, Revision: 12}}
	assert.Equal(t, []string{toReset, "9", "12"}, []string{watch.ID(again, 0), watch.ID(again, 1), watch.ID(again, 2)})
	wiped := []watch.Event{{Type: watch.Delete, Key: "x"}, {Type: watch.Put, Key: "a", Revision: 2}, {Type: watch.Synced, Revision: 12}}
	assert.Equal(t, []string{toReset, "2", "12"}, []string{watch.ID(wiped, 0), watch.ID(wiped, 1), watch.ID(wiped, 2)})
}

func TestE11_an_id_can_be_checked_before_there_is_a_watch(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "0", "17", "17.2", "9223372036854775807"} {
		assert.NoError(t, watch.CheckID(id), id)
	}
	for _, id := range []string{"x", "17.", "0.1", "-1", "+1", "3.0", "1.2.3", "9223372036854775808"} {
		assert.ErrorContains(t, watch.CheckID(id), "is none that a watch gave: want a revision, as in 17, or a part of one, as in 17.2", id)
	}
}

func TestAn_option_that_makes_no_sense_is_an_error_in_the_sequence(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c := server.Client(t)
	for want, opt := range map[string]watch.Option{
		`watch: prefix "p/": revision -1 is negative: want that of an event, or 0 for everything that etcd has not compacted`: watch.FromRevision(-1),
		`watch: prefix "p/": id "x" is none that a watch gave: want a revision, as in 17, or a part of one, as in 17.2`:       watch.After("x"),
		`watch: prefix "p/": id "17." is none that a watch gave: want a revision, as in 17, or a part of one, as in 17.2`:     watch.After("17."),
		`watch: prefix "p/": id "0.1" is none that a watch gave: want a revision, as in 17, or a part of one, as in 17.2`:     watch.After("0.1"),
		`watch: prefix "p/": id "+1" is none that a watch gave: want a revision, as in 17, or a part of one, as in 17.2`:      watch.After("+1"),
		`watch: prefix "p/": id "3.0" is none that a watch gave: want a revision, as in 17, or a part of one, as in 17.2`:     watch.After("3.0"),
	} {
		n := 0
		for _, err := range watch.Prefix(t.Context(), c, "p/", nil, opt) {
			assert.EqualError(t, err, want)
			n++
		}
		assert.Equal(t, 1, n)
	}
	for _, err := range watch.Prefix(t.Context(), nil, "p/") {
		assert.EqualError(t, err, `watch: prefix "p/": the client is nil`)
	}
}
