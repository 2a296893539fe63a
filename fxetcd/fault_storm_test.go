package fxetcd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E12: faults in any order, under callers that never let up. Whatever was acknowledged is there, once; nobody reads what is older than
// what somebody knew; the watch has missed nothing; and in the end all is as it was.
func TestE12_a_storm_of_faults_passes(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	ways := []*etcdtest.Proxy{etcdtest.StartProxy(t, server.Endpoints()[0]), etcdtest.StartProxy(t, server.Endpoints()[0])}
	s := serve(t, server.Client(t), "endpoints: [%q, %q], requestTimeout: 500ms", ways[0].Endpoint(), ways[1].Endpoint())
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	var callers sync.WaitGroup
	over, made := make(chan struct{}), make(chan struct{}, 1)
	again := func(call func(i int)) {
		callers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				default:
				}
				call(i)
				select {
				case made <- struct{}{}:
				default:
				}
			}
		})
	}
	var mu sync.Mutex
	var writes []write
	for c := range 3 {
		again(func(i int) {
			this := s.once(context.Background(), fmt.Sprintf("%d/%d", c, i))
			mu.Lock()
			defer mu.Unlock()
			writes = append(writes, this)
		})
	}
	var known atomic.Int64 // a revision that somebody has seen
	for range 2 {
		again(func(int) {
			before := known.Load()
			got, err := s.client.Get(context.Background(), "app/held")
			if err != nil {
				assert.ErrorIs(t, err, context.DeadlineExceeded, "a read fails for want of time alone")
				return
			}
			assert.GreaterOrEqual(t, got.Header.Revision, before)
			assert.Len(t, got.Kvs, 1)
			for old := known.Load(); old < got.Header.Revision && !known.CompareAndSwap(old, got.Header.Revision); old = known.Load() {
			}
		})
	}
	again(func(int) {
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		s.factory.Check(ctx)
	})

	// A fault lasts for a number of calls.
	patience := within(t, time.Duration(long())*2*time.Minute)
	last := func() {
		for range 1 + random.IntN(20) {
			select {
			case <-made:
			case <-patience.Done():
			}
		}
	}
	for range 8 * long() {
		way := ways[random.IntN(len(ways))]
		switch random.IntN(6) {
		case 0:
			server.Kill()
			last()
			server.Restart()
		case 1:
			server.Pause()
			last()
			server.Resume()
		case 2:
			way.Drop()
			last()
			way.Heal()
		case 3:
			ways[0].Drop()
			ways[1].Drop()
			last()
			ways[0].Heal()
			ways[1].Heal()
		case 4:
			way.Reset()
		case 5:
			way.Delay(time.Duration(random.IntN(300)) * time.Millisecond)
			last()
			way.Heal()
		}
		last()
	}
	assert.NoError(t, patience.Err(), "every call returns")
	close(over)
	callers.Wait()

	heard := map[string]bool{}
	for _, e := range s.hears(t) {
		heard[string(e.Kv.Key)] = true
	}
	acknowledged := 0
	for _, w := range writes {
		if w.err == nil {
			acknowledged++
			assert.True(t, heard[w.key], "%s was acknowledged, and the watch has missed it", w.key)
		}
	}
	t.Logf("%d of %d writes were acknowledged", acknowledged, len(writes))
	require.NotZero(t, acknowledged)
	s.recovers(t)
	s.outcome(t, writes)
}
