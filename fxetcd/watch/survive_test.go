package watch_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

func compact(tb testing.TB, c *clientv3.Client, revision int64) {
	tb.Helper()
	_, err := c.Compact(tb.Context(), revision, clientv3.WithCompactPhysical())
	require.NoError(tb, err)
}

func TestE11_compaction_while_away_is_made_up_for_by_one_change_set(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	writer := server.Client(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, n := newClient(t, []string{proxy.Endpoint()})
	put(t, writer, "p/stays", "1")
	put(t, writer, "p/changes", "1")
	put(t, writer, "p/goes", "1")
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	before := put(t, writer, "p/live", "1")
	k.await(t, "a change, which shows that the watch is there", k.holds("p/live", "1"))

	proxy.Drop()
	proxy.Reset() // so that the client has to connect again, which it cannot
	changed := put(t, writer, "p/changes", "2")
	remove(t, writer, "p/goes")
	put(t, writer, "p/comes", "1")
	last := put(t, writer, "p/comes", "2")
	put(t, writer, "p/passing", "1")
	gone := remove(t, writer, "p/passing")
	compact(t, writer, gone)
	asked := n.total()
	proxy.Heal()
	k.await(t, "the change set", k.holds("p/comes", "2"))

	assert.Equal(t, []watch.Event{
		{Type: watch.Delete, Key: "p/goes", Revision: before},
		{Type: watch.Put, Key: "p/changes", Value: []byte("2"), Revision: changed},
		{Type: watch.Put, Key: "p/comes", Value: []byte("2"), Revision: last},
		{Type: watch.Synced, Revision: gone},
	}, k.groups[2], "the difference, deletes first, with neither what has not changed nor what has come and gone")
	assert.Less(t, n.total()-asked, 15, "no hot loop after compaction: %v %v", n.unary, n.streams)

	next := put(t, writer, "p/comes", "3")
	k.await(t, "a change after it", k.holds("p/comes", "3"))
	assert.Equal(t, []watch.Event{{Type: watch.Put, Key: "p/comes", Value: []byte("3"), Revision: next}}, k.groups[3])
}

func TestE11_a_watch_does_not_notice_a_reconnection_or_a_restart(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	writer := server.Client(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, _ := newClient(t, []string{proxy.Endpoint()})
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })

	var want []int64
	for i := range 60 {
		switch i % 20 {
		case 5:
			server.Restart()
		case 10:
			proxy.Reset()
		}
		want = append(want, put(t, writer, "p/k", strconv.Itoa(i)))
	}
	k.await(t, "the last change", k.holds("p/k", "59"))
	var got []int64
	for _, e := range k.events()[1:] {
		got = append(got, e.Revision)
	}
	assert.Equal(t, want, got, "each change once, in order, and nothing else")
}

func TestE11_a_wiped_server_is_noticed_though_it_looks_the_same(t *testing.T) {
	t.Parallel()
	clients := map[string]func(testing.TB, []string) *clientv3.Client{
		"plain":   func(tb testing.TB, endpoints []string) *clientv3.Client { c, _ := newClient(tb, endpoints); return c },
		"managed": managed,
	}
	for kind, client := range clients {
		for _, more := range []int{0, 3, 30} {
			t.Run(fmt.Sprintf("by a %s client, and has seen %d changes since", kind, more), func(t *testing.T) {
				t.Parallel()
				aWipedServerIsNoticed(t, client, more)
			})
		}
	}
}

func aWipedServerIsNoticed(t *testing.T, client func(testing.TB, []string) *clientv3.Client, more int) {
	server := etcdtest.StartProcess(t)
	writer, _ := newClient(t, server.Endpoints())
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c := client(t, []string{proxy.Endpoint()})
	for i := range 8 {
		put(t, writer, fmt.Sprintf("p/%d", i), "old")
	}
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	put(t, writer, "p/7", "last")
	k.await(t, "a change, which shows that the watch is there", k.holds("p/7", "last"))

	proxy.Drop() // so that the watch is not told that there is no leader, as it is while a server starts
	proxy.Reset()
	server.Wipe()
	server.Restart()
	for i := range more {
		put(t, writer, fmt.Sprintf("p/%d", i%2), strconv.Itoa(i))
	}
	put(t, writer, "p/new", "1")
	healed := time.Now()
	proxy.Heal()
	k.await(t, "the new state", func() bool {
		return k.holds("p/new", "1")() && k.lacks("p/7")()
	})
	assert.Less(t, time.Since(healed), 5*time.Second)
	assert.Equal(t, keys(t, c, "p/"), k.state())
	put(t, writer, "p/new", "2")
	k.await(t, "a change after it", k.holds("p/new", "2"))
	assert.Equal(t, keys(t, c, "p/"), k.state())
}

// From here on revisions mean something else, which whoever resumes by them has to know.
func TestE11_a_wiped_server_is_told_of_also_where_nothing_differs(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, _ := newClient(t, server.Endpoints())
	for range 5 {
		put(t, c, "other", "x")
	}
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	server.Wipe()
	server.Restart()
	k.await(t, "the same, in another history", func() bool { return len(k.groups) == 2 })
	assert.Equal(t, []watch.Event{{Type: watch.Synced, Revision: 6}, {Type: watch.Synced, Revision: 1}}, k.events())
}

// A server whose keys and revisions are those known, but whose values are not, as after a wipe and the same script again.
func TestE11_a_wiped_server_is_noticed_by_its_values(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	writer, _ := newClient(t, server.Endpoints())
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, _ := newClient(t, []string{proxy.Endpoint()})
	seed := func(value string) {
		put(t, writer, "p/a", value)
		put(t, writer, "p/b", "same")
	}
	seed("1")
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	seed("again")
	k.await(t, "a change, which shows that the watch is there", k.holds("p/a", "again"))
	proxy.Drop()
	proxy.Reset()
	server.Wipe()
	server.Restart()
	seed("2")
	seed("2")
	proxy.Heal()
	k.await(t, "the new value", k.holds("p/a", "2"))
}

func TestE11_a_watch_survives_the_loss_of_quorum(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	leader := cluster.Leader()
	follower := (leader + 1) % 3
	c, n := newClient(t, []string{cluster.Endpoints()[follower]})
	put(t, c, "p/k", "1")
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", k.holds("p/k", "1"))

	cluster.Partition(follower)
	writer := cluster.Client(t, leader)
	put(t, writer, "p/k", "2")
	last := put(t, writer, "p/k", "3")
	cluster.Heal(follower)
	k.await(t, "what happened meanwhile", k.holds("p/k", "3"))
	var got []int64
	for _, e := range k.events()[2:] {
		got = append(got, e.Revision)
	}
	assert.Equal(t, []int64{last - 1, last}, got)
	assert.Less(t, n.count(watchMethod), 40)
}

// As when the client has picked an endpoint that is a black hole for the stream, while others answer.
func TestE11_a_stream_that_does_not_open_is_left_for_another_if_there_is_a_server(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	hole := make(chan struct{})
	var later atomic.Bool
	c, n := newClient(t, server.Endpoints(), func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				if !later.Swap(true) {
					<-hole
				}
				return streamer(ctx, desc, cc, method, opts...)
			}))
	})
	t.Cleanup(func() { close(hole) })
	put(t, c, "p/1", "1")
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", k.holds("p/1", "1"))
	put(t, c, "p/1", "2")
	k.await(t, "a change", k.holds("p/1", "2"))
	assert.Equal(t, 2, n.count(watchMethod))
}
