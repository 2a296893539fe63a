package fxetcd_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E12: a black hole on one of two ways. Its connection looks open, and takes its share of the calls until a keepalive has gone unanswered:
// 10 s and 3 s later.
func TestE12_a_black_hole_is_found_by_keepalives_and_got_round(t *testing.T) {
	server := etcdtest.StartProcess(t)
	hole, way := etcdtest.StartProxy(t, server.Endpoints()[0]), etcdtest.StartProxy(t, server.Endpoints()[0])
	s := serve(t, server.Client(t), "endpoints: [%q, %q], requestTimeout: 1s", hole.Endpoint(), way.Endpoint())
	way.Drop() // what is answered now has come by the other
	require.Eventually(t, func() bool {
		_, err := s.client.Get(within(t, 300*time.Millisecond), "app/k")
		return err == nil
	}, ttl, time.Millisecond, "both connections are there")
	way.Heal()

	hole.Drop()
	var calls sync.WaitGroup
	var late atomic.Int32
	writes := make([]write, 16)
	ctx := within(t, ttl)
	for i := range writes {
		calls.Go(func() {
			_, err := s.client.Get(ctx, "app/k")
			assert.NoError(t, err, "a read with patience goes on by the other way")
		})
		calls.Go(func() { writes[i] = s.once(ctx, fmt.Sprint(i)) })
		calls.Go(func() {
			if _, err := s.client.Get(context.Background(), "app/k"); err != nil {
				late.Add(1)
				assert.ErrorContains(t, err, "no answer within requestTimeout 1s")
			}
		})
	}
	t.Parallel() // no sooner: until its turn comes, the test has waited out most of its time
	calls.Wait()
	assert.NotZero(t, late.Load(), "some of the calls went into the hole")
	broken := 0
	for _, w := range writes {
		if w.err != nil {
			broken++
			assert.Equal(t, codes.Unavailable, status.Code(w.err), "%v", w.err)
		}
	}
	assert.NotZero(t, broken, "a write is not repeated: nobody knows whether it was done")
	for range 8 {
		_, err := s.client.Get(within(t, plenty), "app/k")
		assert.NoError(t, err, "from now on every call goes the other way")
	}

	hole.Heal()
	s.recovers(t)
	s.outcome(t, writes)
}

// E12: a black hole on the only way. What waits in it arrives when it ends.
func TestE12_a_black_hole_on_the_only_way_is_waited_for(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	s := serve(t, server.Client(t), "endpoints: %q, requestTimeout: 500ms", proxy.Endpoint())

	proxy.Drop()
	writes := []write{s.once(context.Background(), "late")}
	require.ErrorIs(t, writes[0].err, context.DeadlineExceeded)
	assert.ErrorContains(t, writes[0].err, "no answer within requestTimeout 500ms")
	assert.ErrorContains(t, s.check(t, time.Second), proxy.Endpoint()+": it accepts connections, but says nothing")
	patient := make(chan error)
	go func() {
		_, err := s.client.Get(within(t, ttl), "app/k")
		patient <- err
	}()
	proxy.Heal()
	require.NoError(t, <-patient)
	s.recovers(t)
	s.outcome(t, writes)
}

// E12: connections are reset under reads and writes, again and again.
func TestE12_resets_cost_no_read_and_write_nothing_twice(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	s := serve(t, server.Client(t), "endpoints: %q", proxy.Endpoint())

	var mu sync.Mutex
	var writes []write
	var callers sync.WaitGroup
	ctx := within(t, ttl)
	for c := range 4 {
		callers.Go(func() {
			for i := range 50 {
				if i%10 == c {
					proxy.Reset()
				}
				this := s.once(ctx, fmt.Sprintf("%d/%d", c, i))
				mu.Lock()
				writes = append(writes, this)
				mu.Unlock()
				_, err := s.client.Get(ctx, this.key)
				assert.NoError(t, err)
			}
		})
	}
	callers.Wait()
	s.outcome(t, writes)
	heard := map[string]bool{}
	for _, e := range s.hears(t) {
		heard[string(e.Kv.Key)] = true
	}
	for _, w := range writes {
		assert.True(t, w.err != nil || heard[w.key], "%s was acknowledged, and the watch has missed it", w.key)
	}
	s.recovers(t)
}

// E12: a slow link. Whoever has the time gets an answer; whoever has not is told in time.
func TestE12_a_slow_link_makes_calls_late_and_loses_none(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	s := serve(t, server.Client(t), "endpoints: %q, requestTimeout: 15s", proxy.Endpoint())

	const delay = 250 * time.Millisecond
	proxy.Delay(delay)
	began := time.Now()
	writes := []write{s.once(context.Background(), "slow")}
	require.NoError(t, writes[0].err)
	assert.GreaterOrEqual(t, time.Since(began), 2*delay)
	require.NoError(t, s.check(t, plenty), "slow is healthy")
	err := s.check(t, delay)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, proxy.Endpoint()+": it accepts connections, but says nothing")
	s.keepsLease(t)
	s.hears(t)

	patient := connect(t, fxetcd.Config{Endpoints: []string{proxy.Endpoint()}, DialTimeout: plenty, RequestTimeout: delay})
	_, err = patient.Put(context.Background(), "app/k", "v")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "no answer within requestTimeout 250ms")
	_, err = fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: []string{proxy.Endpoint()}, DialTimeout: delay})
	assert.ErrorContains(t, err, "no etcd server answered within ")

	s.unshaken(t)
	proxy.Heal()
	s.recovers(t)
	s.unshaken(t)
	s.outcome(t, writes)
	require.Eventually(t, func() bool {
		_, err := patient.Put(context.Background(), "app/k", "v")
		return err == nil
	}, plenty, 10*time.Millisecond, "and is as fast as before")
}
