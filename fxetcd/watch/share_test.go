package watch_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

// E11: a thousand watchers of one prefix are one etcd watch.
func TestE11_a_thousand_watchers_of_one_prefix_are_one_etcd_watch(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, n := newClient(t, server.Endpoints())
	for i := range 10 {
		put(t, c, fmt.Sprintf("p/%d", i), "1")
	}
	var watchers []*consumer
	for range 1000 {
		watchers = append(watchers, consume(t, c, "p/"))
	}
	for _, k := range watchers {
		k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	}
	last := put(t, c, "p/3", "2")
	for _, k := range watchers {
		k.await(t, "the change", k.holds("p/3", "2"))
		assert.Equal(t, last, k.events()[len(k.events())-1].Revision)
		assert.Len(t, k.held, 10)
	}
	assert.Equal(t, 1, n.count(watchMethod), "gRPC streams of watches")
	assert.Less(t, n.count(rangeMethod), 200, "those who come together ask together")

	other := consume(t, c, "q/")
	put(t, c, "q/1", "1")
	other.await(t, "another prefix", other.holds("q/1", "1"))
	put(t, c, "q/1", "2")
	other.await(t, "a change", func() bool { return other.holds("q/1", "2")() && len(other.groups) > 1 })
	assert.Equal(t, 2, n.count(watchMethod))
}

// This one is not parallel: it looks at all goroutines of the process.
func TestE11_nothing_is_left_behind_after_the_last_watcher(t *testing.T) {
	server := etcdtest.Start(t)
	c, n := newClient(t, server.Endpoints())
	put(t, c, "p/1", "1") // so that the client's connection is there
	for range 3 {
		first, second := consume(t, c, "p/"), consume(t, c, "p/")
		first.await(t, "the snapshot", first.holds("p/1", "1"))
		second.await(t, "the snapshot", second.holds("p/1", "1"))
		first.stop()
		second.stop()
		nothingIsLeft(t)
	}
	assert.Equal(t, 3, n.count(watchMethod), "each time the watch was another one")

	// Also where the client has opened streams by itself, which nobody asked it to.
	away := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, away.Endpoints()[0])
	c, _ = newClient(t, []string{proxy.Endpoint()})
	writer := away.Client(t)
	for i := range 10 {
		put(t, writer, "p/1", fmt.Sprint(i))
		k := consume(t, c, "p/")
		k.await(t, "the snapshot", k.holds("p/1", fmt.Sprint(i)))
		proxy.Reset()
		late := consume(t, c, "p/", watch.FromRevision(1))
		if i%2 == 0 {
			late.await(t, "the past", late.holds("p/1", fmt.Sprint(i)))
		}
		k.stop()
		late.stop()
	}
	nothingIsLeft(t)
}

// Nor is this one.
func TestE11_nothing_is_left_behind_by_who_leaves_while_the_client_reconnects(t *testing.T) {
	server := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, n := newClient(t, []string{proxy.Endpoint()})
	writer := server.Client(t)
	for i := range 10 {
		put(t, writer, "p/1", fmt.Sprint(i))
		k := consume(t, c, "p/")
		k.await(t, "the snapshot", k.holds("p/1", fmt.Sprint(i)))
		put(t, writer, "p/1", "live")
		k.await(t, "a change, which shows that the watch is there", k.holds("p/1", "live"))
		opened := n.count(watchMethod)
		proxy.Drop()
		proxy.Reset()
		if i%2 == 0 { // else at any moment before that
			eventually(t, func() bool { return n.count(watchMethod) > opened }, "the client opens the stream again")
		}
		k.stop()
		proxy.Heal()
		nothingIsLeft(t)
	}
}

func nothingIsLeft(t *testing.T) {
	t.Helper()
	for _, ours := range []string{"watch.(*source).run(", "client/v3.(*watchGRPCStream).run("} {
		eventually(t, func() bool { return !strings.Contains(stacks(), ours) }, ours)
	}
}

// What the client still opens for the first watcher must not become the watch of the second: nobody would learn of its reconnections.
// Not parallel either.
func TestE11_who_comes_after_one_that_left_during_a_reconnection_notices_a_wiped_server(t *testing.T) {
	server := etcdtest.StartProcess(t)
	writer := server.Client(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, n := newClient(t, []string{proxy.Endpoint()})
	cut := func() {
		opened := n.count(watchMethod)
		proxy.Drop()
		proxy.Reset()
		eventually(t, func() bool { return n.count(watchMethod) > opened }, "the client opens the stream again")
	}
	put(t, writer, "p/old", "1")
	live := func(value string) *consumer {
		k := consume(t, c, "p/")
		k.await(t, "the snapshot", k.holds("p/old", "1"))
		put(t, writer, "p/live", value)
		k.await(t, "a change, which shows that the watch is there", k.holds("p/live", value))
		return k
	}
	k := live("1")
	cut()
	k.stop()
	eventually(t, func() bool { return !strings.Contains(stacks(), "watch.(*source).run(") }, "the first watch has ended")
	proxy.Heal()
	k = live("2")
	cut()
	server.Wipe()
	server.Restart()
	for range 10 { // so that revisions alone do not tell
		put(t, writer, "p/new", "1")
	}
	proxy.Heal()
	k.await(t, "the new state", func() bool { return k.holds("p/new", "1")() && k.lacks("p/old")() })
	assert.Equal(t, keys(t, writer, "p/"), k.state())
}

func stacks() string {
	buffer := make([]byte, 16<<20)
	return string(buffer[:runtime.Stack(buffer, true)])
}

// A newcomer's snapshot holds what was written before it came, though it is taken from a watch that may be behind.
func TestE11_a_newcomer_sees_what_was_written_before_it_came(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	writer := server.Client(t)
	consume(t, c, "p/")
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 25 {
				key, value := fmt.Sprintf("p/%d", w), fmt.Sprint(i)
				revision := put(t, writer, key, value)
				for e, err := range watch.Prefix(t.Context(), c, "p/") {
					if !assert.NoError(t, err) || e.Type == watch.Synced {
						assert.GreaterOrEqual(t, e.Revision, revision, "the snapshot is from after the write")
						break
					}
					if e.Key == key {
						assert.Equal(t, value, string(e.Value))
					}
				}
			}
		})
	}
	all.Wait()
}

// E6: through a client with a namespace a watch sees the namespace alone, and keys without it.
func TestE6_a_watch_stays_in_its_clients_namespace(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	plain := server.Client(t)
	c, _ := newClient(t, server.Endpoints())
	c.KV, c.Watcher = namespace.NewKV(c.KV, "ns/"), namespace.NewWatcher(c.Watcher, "ns/")
	put(t, plain, "outside", "x")
	put(t, plain, "ns/p/1", "1")
	all, some := consume(t, c, ""), consume(t, c, "p/")
	all.await(t, "the snapshot", all.holds("p/1", "1"))
	some.await(t, "the snapshot", some.holds("p/1", "1"))
	put(t, plain, "p/1", "x")
	put(t, plain, "nt", "x")
	put(t, c, "p/2", "2")
	put(t, c, "q", "3")
	all.await(t, "the last", all.holds("q", "3"))
	some.await(t, "the last", some.holds("p/2", "2"))
	assert.Equal(t, map[string]string{"p/1": "1", "p/2": "2", "q": "3"}, all.state())
	assert.Equal(t, map[string]string{"p/1": "1", "p/2": "2"}, some.state())
}

func TestE11_a_big_prefix_is_read_in_pages_at_one_revision(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, n := newClient(t, server.Endpoints())
	want := map[string]string{}
	for i := range 11 {
		var ops []clientv3.Op
		for j := range 100 {
			key := fmt.Sprintf("p/%02d/%02d", i, j)
			want[key] = key
			ops = append(ops, clientv3.OpPut(key, key))
		}
		_, err := c.Txn(t.Context()).Then(ops...).Commit()
		require.NoError(t, err)
	}
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	assert.Equal(t, want, k.state())
	assert.Contains(t, []int{4, 5}, n.count(rangeMethod), "three pages, and the questions whether the server is still the same, after them and after the watch is open")
	previous := int64(0)
	for _, e := range k.events() {
		assert.GreaterOrEqual(t, e.Revision, previous, "in the order of revisions")
		previous = e.Revision
	}
}

// heap is the memory in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// E11: a slow consumer is bounded in memory: it gets the coalesced state. Not parallel: it measures the memory of the whole process.
func TestE11_a_slow_consumer_gets_the_latest_state_as_one_change_set(t *testing.T) {
	server := etcdtest.StartProcess(t) // whose memory is not ours
	c, _ := newClient(t, server.Endpoints())
	put(t, c, "p/known", "1")
	put(t, c, "p/old", "1")
	fast, slow := consume(t, c, "p/"), consume(t, c, "p/")
	fast.await(t, "the snapshot", fast.holds("p/known", "1"))
	slow.await(t, "the snapshot", slow.holds("p/known", "1"))
	slow.pause()
	value := strings.Repeat("v", 20<<10)
	put(t, c, "p/first", "1") // this one it takes, and then it stands still
	remove(t, c, "p/old")
	put(t, c, "p/passing", "1")
	remove(t, c, "p/passing")
	before := heap()
	for i := range 1500 {
		put(t, c, fmt.Sprintf("p/%d", i%7), fmt.Sprint(i, value))
	}
	last := put(t, c, "p/end", "end")
	fast.await(t, "the last change", fast.holds("p/end", "end"))
	fast.mu.Lock()
	events := len(fast.groups)
	fast.groups = nil
	fast.mu.Unlock()
	assert.Equal(t, 1506, events, "who keeps up gets each change")
	assert.Less(t, heap()-before, int64(15<<20), "30 MB went by")

	slow.resume()
	slow.await(t, "the last change", slow.holds("p/end", "end"))
	assert.Equal(t, keys(t, c, "p/"), slow.state())
	require.Less(t, len(slow.groups), 10)
	set := slow.groups[len(slow.groups)-1]
	require.Len(t, set, 1+7+1+1, "the one it had known and lost, seven others, the last, Synced")
	assert.Equal(t, "p/old", set[0].Key)
	assert.Equal(t, watch.Delete, set[0].Type)
	assert.Equal(t, watch.Event{Type: watch.Synced, Revision: last}, set[len(set)-1])
	for i := range set[1:] {
		assert.GreaterOrEqual(t, set[i+1].Revision, set[i].Revision, "in order")
	}
}

func TestE11_a_caller_waits_no_longer_than_its_context_when_there_is_no_server(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	server.Stop()
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		start := time.Now()
		for range watch.Prefix(ctx, c, "p/") {
			t.Error("there is nothing to tell")
		}
		_, err := watch.Mirror(ctx, c, "p/", func(string, []byte) (int, error) { return 0, nil })
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualError(t, err, `watch: mirror "p/": no snapshot yet: context deadline exceeded`)
		assert.Less(t, time.Since(start), 2*time.Second)
	}
	k := consume(t, c, "p/")
	server.Restart()
	put(t, c, "p/1", "1")
	k.await(t, "the server's return", k.holds("p/1", "1"))
}
