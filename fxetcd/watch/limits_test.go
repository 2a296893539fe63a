package watch_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

func TestE11_pages_are_as_small_as_the_client_needs_them(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	writer := server.Client(t)
	big := strings.Repeat("v", 60<<10)
	for i := range 20 {
		put(t, writer, fmt.Sprintf("p/%02d", i), big)
	}
	c, _ := newClient(t, server.Endpoints(), func(cfg *clientv3.Config) {
		cfg.MaxCallSendMsgSize, cfg.MaxCallRecvMsgSize = 64<<10, 256<<10
	})
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	assert.Len(t, k.state(), 20)
	put(t, writer, "p/live", "1")
	k.await(t, "a change", k.holds("p/live", "1"))

	var ops []clientv3.Op
	for i := range 10 {
		ops = append(ops, clientv3.OpPut(fmt.Sprintf("p/%02d", i), big+"2"))
	}
	_, err := writer.Txn(t.Context()).Then(ops...).Commit()
	require.NoError(t, err)
	k.await(t, "a revision that is larger than the client can receive, as a change set", k.holds("p/09", big+"2"))
	assert.Empty(t, k.errs)

	put(t, writer, "p/huge", strings.Repeat("v", 300<<10))
	k.await(t, "a refusal", func() bool { return len(k.errs) == 1 })
	assert.EqualError(t, k.errs[0], `watch: prefix "p/": the value of "p/huge" is larger than the client may receive: `+
		`raise its maxReceiveSize (clientv3's MaxCallRecvMsgSize)`)
	put(t, writer, "p/huge", "small")
	k.await(t, "a smaller value", k.holds("p/huge", "small"))
	assert.Len(t, k.errs, 1)
}

func TestE11_pages_are_as_small_as_a_slow_link_needs_them(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	var slow atomic.Int64
	c, _ := intercept(t, server.Endpoints(), func(ctx context.Context, r *etcdserverpb.RangeRequest) error {
		if r.Limit <= 250 {
			return nil
		}
		slow.Add(1)
		<-ctx.Done()
		return ctx.Err()
	})
	put(t, c, "p/1", "1")
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", k.holds("p/1", "1"))
	assert.EqualValues(t, 1, slow.Load())
}

// A newcomer's question may be slow, as at an endpoint that is cut off. Nobody else waits for it.
func TestE11_a_newcomer_does_not_hold_up_the_others(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	writer := server.Client(t)
	var stuck atomic.Bool
	asked, hole := make(chan struct{}, 10), make(chan struct{})
	c, n := intercept(t, server.Endpoints(), func(ctx context.Context, _ *etcdserverpb.RangeRequest) error {
		if !stuck.Load() {
			return nil
		}
		asked <- struct{}{}
		select {
		case <-hole:
			return context.DeadlineExceeded
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	put(t, writer, "p/1", "1")
	k.await(t, "a change, which shows that the watch is there", k.holds("p/1", "1"))
	stuck.Store(true)
	late := consume(t, c, "p/")
	<-asked
	start := time.Now()
	put(t, writer, "p/1", "2")
	k.await(t, "a change", k.holds("p/1", "2"))
	assert.Less(t, time.Since(start), 3*time.Second)
	stuck.Store(false)
	close(hole) // the question fails, and is asked again
	late.await(t, "the snapshot", late.holds("p/1", "2"))
	assert.Equal(t, 1, n.count(watchMethod), "the watch is still the first one")
}

// Not parallel: it measures the memory of the whole process.
func TestE11_what_a_server_tells_after_a_long_absence_is_bounded_in_memory(t *testing.T) {
	server := etcdtest.StartProcess(t) // whose memory is not ours
	writer := server.Client(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, _ := newClient(t, []string{proxy.Endpoint()})
	put(t, writer, "p/a", "1")
	seen, synced, live, done := 0, make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for e := range watch.Prefix(t.Context(), c, "p/") {
			switch seen++; {
			case seen == 2: // Synced
				close(synced)
			case string(e.Value) == "2":
				close(live)
			case e.Key == "p/end":
				return
			}
		}
	}()
	<-synced
	put(t, writer, "p/a", "2")
	<-live
	proxy.Drop()
	proxy.Reset()
	value := strings.Repeat("v", 10<<10)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 1000 { // the server sends a thousand revisions at once, and the client waits for the last of them
				_, err := writer.Put(t.Context(), fmt.Sprint("p/", w), fmt.Sprint(i, value))
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	put(t, writer, "p/end", "end")
	before, peak := heap(), int64(0)
	proxy.Heal()
	for measuring := true; measuring; {
		select {
		case <-done:
			measuring = false
		default:
			peak = max(peak, heap())
		}
	}
	t.Log((peak-before)>>20, seen)
	assert.Less(t, peak-before, int64(50<<20), "80 MB went by")
}
