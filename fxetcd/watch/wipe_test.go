package watch_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

// What a wiped server tells of the past is not what followed in the life that the consumer has seen.
func TestE11_who_resumes_while_the_server_is_wiped_starts_again(t *testing.T) {
	t.Parallel()
	for _, more := range []int{0, 30} {
		t.Run(fmt.Sprintf("and has seen %d changes since", more), func(t *testing.T) {
			t.Parallel()
			server := etcdtest.StartProcess(t)
			writer := server.Client(t)
			proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
			c, _ := newClient(t, []string{proxy.Endpoint()})
			seen := put(t, writer, "p/held", "1")
			remove(t, writer, "p/held")
			for i := range 10 {
				put(t, writer, "p/a", fmt.Sprint(i))
			}
			k := consume(t, c, "p/")
			k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
			put(t, writer, "p/a", "live")
			k.await(t, "a change, which shows that the watch is there", k.holds("p/a", "live"))
			proxy.Drop()
			proxy.Reset()
			late := consume(t, c, "p/", watch.FromRevision(seen))
			server.Wipe()
			server.Restart()
			for i := range more {
				put(t, writer, "p/b", fmt.Sprint(i))
			}
			put(t, writer, "p/end", "1")
			healed := time.Now()
			proxy.Heal()
			late.await(t, "the new state", late.holds("p/end", "1"))
			assert.Less(t, time.Since(healed), 5*time.Second)
			assert.Equal(t, watch.Event{Type: watch.Reset, Revision: seen}, late.events()[0])
			late.await(t, "the new state alone", func() bool { return maps.Equal(keys(t, writer, "p/"), late.held) })
		})
	}
}

// Whoever stops among the events by which it learns of a wiped server gets the rest, or a snapshot, also if it was slow.
func TestE11_a_watch_resumes_after_any_event_that_tells_of_a_wiped_server(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	writer, _ := newClient(t, server.Endpoints())
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, _ := newClient(t, []string{proxy.Endpoint()})
	for _, key := range []string{"p/x", "p/y", "p/z"} {
		put(t, writer, key, "old")
	}
	fast, slow := consume(t, c, "p/"), consume(t, c, "p/")
	for _, k := range []*consumer{fast, slow} {
		k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	}
	slow.pause()
	put(t, writer, "p/taken", "old") // this one it takes, and then it stands still
	fast.await(t, "a change", fast.holds("p/taken", "old"))
	remove(t, writer, "p/z")
	for i := range 12 {
		var ops []clientv3.Op
		for j := range 100 {
			ops = append(ops, clientv3.OpPut("p/many/"+fmt.Sprint(j), fmt.Sprint(i)))
		}
		_, err := writer.Txn(t.Context()).Then(ops...).Commit()
		require.NoError(t, err)
	}
	fast.await(t, "the last of the old life", fast.holds("p/many/99", "11"))
	proxy.Drop()
	proxy.Reset()
	server.Wipe()
	server.Restart()
	put(t, writer, "p/b", "new")
	put(t, writer, "p/x", "new")
	for range 30 {
		put(t, writer, "elsewhere", "x")
	}
	put(t, writer, "p/c", "new")
	proxy.Heal()
	fast.await(t, "the new life", func() bool { return fast.holds("p/c", "new")() && fast.lacks("p/y")() })
	slow.resume()
	slow.await(t, "the new life", func() bool { return slow.holds("p/c", "new")() && slow.lacks("p/y")() })
	put(t, writer, "p/end", "end")
	truth := keys(t, writer, "p/")

	for name, k := range map[string]*consumer{"fast": fast, "slow": slow} {
		k.stop()
		held, set := map[string]string{}, []watch.Event(nil)
		for _, group := range k.groups {
			if held["p/taken"] != "" && group[len(group)-1].Type == watch.Synced {
				set = group
				break
			}
			apply(held, group)
		}
		require.Greater(t, len(set), 5, name)
		for i := range set {
			if i > 3 && i < len(set)-5 {
				continue // deletes like those before and after
			}
			resumed := maps.Clone(held)
			apply(resumed, set[:i+1])
			for group, err := range watch.Revisions(t.Context(), c, "p/", watch.After(watch.ID(set, i))) {
				require.NoError(t, err)
				apply(resumed, group)
				if resumed["p/end"] != "" {
					break
				}
			}
			assert.Equal(t, truth, resumed, "%s, after %v, whose id is %s", name, brief(set[i:i+1]), watch.ID(set, i))
		}
	}
}

// intercept is a client whose reads go through before first.
func intercept(tb testing.TB, endpoints []string, before func(ctx context.Context, r *etcdserverpb.RangeRequest) error) (*clientv3.Client, *calls) {
	tb.Helper()
	return newClient(tb, endpoints, func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainUnaryInterceptor(
			func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				if r, ok := req.(*etcdserverpb.RangeRequest); ok {
					if err := before(ctx, r); err != nil {
						return err
					}
				}
				return invoke(ctx, method, req, reply, cc, opts...)
			}))
	})
}

func TestE11_a_snapshot_is_of_one_life_of_the_server(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	writer, _ := newClient(t, server.Endpoints())
	fill := func(transactions int, value string) {
		for i := range transactions {
			var ops []clientv3.Op
			for j := range 100 {
				ops = append(ops, clientv3.OpPut(fmt.Sprintf("p/%02d/%02d", i, j), value))
			}
			_, err := writer.Txn(t.Context()).Then(ops...).Commit()
			require.NoError(t, err)
		}
	}
	fill(7, "old")
	var wiped atomic.Bool
	c, _ := intercept(t, server.Endpoints(), func(_ context.Context, r *etcdserverpb.RangeRequest) error {
		if strings.HasSuffix(string(r.Key), "\x00") && !wiped.Swap(true) { // the second page
			server.Wipe()
			server.Restart()
			fill(9, "new")
		}
		return nil
	})
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", func() bool { return len(k.groups) == 1 })
	held := map[string]string{}
	apply(held, k.groups[0])
	assert.True(t, wiped.Load())
	assert.Equal(t, keys(t, writer, "p/"), held)
}
