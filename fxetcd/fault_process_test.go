package fxetcd_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E12: kill -9, in the middle of writes.
func TestE12_a_killed_server_is_missed_by_name_and_found_again(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	s := serve(t, server.Client(t), "endpoints: %q, requestTimeout: 700ms", server.Endpoints()[0])

	var mu sync.Mutex
	var writes []write
	enough := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 16 {
		writers.Go(func() {
			for i := 0; ; i++ {
				this := s.once(context.Background(), fmt.Sprintf("%d/%d", w, i))
				mu.Lock()
				if writes = append(writes, this); len(writes) == 200 {
					close(enough)
				}
				mu.Unlock()
				if this.err != nil {
					return
				}
			}
		})
	}
	select {
	case <-enough:
	case <-within(t, ttl).Done():
		assert.Fail(t, "no 200 writes in a minute")
	}
	server.Kill()
	writers.Wait()

	_, err := s.client.Put(context.Background(), "app/k", "v")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "no answer within requestTimeout 700ms")
	assert.ErrorContains(t, err, "connection refused")
	err = s.check(t, time.Second)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.ErrorContains(t, err, server.Endpoints()[0]+": nothing listens there")

	patient := make(chan error)
	go func() {
		_, err := s.client.Get(within(t, ttl), "app/k")
		patient <- err
	}()
	server.Restart()
	require.NoError(t, <-patient, "who has the patience gets an answer")
	s.recovers(t)
	s.outcome(t, writes)
}

// E12: SIGSTOP, for longer than a lease lasts.
func TestE12_a_paused_server_is_silence_that_ends_at_the_request_timeout(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	s := serve(t, server.Client(t), "endpoints: %q, requestTimeout: 700ms", server.Endpoints()[0])
	short := s.kept(t, 2)

	server.Pause()
	var writes []write
	began := time.Now()
	_, err := s.client.Get(context.Background(), "app/k")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "no answer within requestTimeout 700ms")
	assert.GreaterOrEqual(t, time.Since(began), 700*time.Millisecond)
	for i := range 3 {
		writes = append(writes, s.once(within(t, 100*time.Millisecond), fmt.Sprint(i)))
		require.ErrorIs(t, writes[i].err, context.DeadlineExceeded)
	}
	assert.ErrorContains(t, s.check(t, time.Second), server.Endpoints()[0]+": it accepts connections, but says nothing: the server hangs")
	select {
	case <-short.Done():
	case <-within(t, plenty).Done():
		require.Fail(t, "a lease that could not be kept is not kept")
	}

	server.Resume()
	s.recovers(t)
	s.outcome(t, writes)
	require.Eventually(t, func() bool {
		left, err := s.admin.TimeToLive(t.Context(), short.Lease())
		return err == nil && left.TTL == -1
	}, plenty, 10*time.Millisecond, "nor is it by the server")
}

// E12: wiped data. Nothing tells the client, but that its lease is not known any more.
func TestE12_a_wiped_server_is_an_empty_one_that_has_lost_the_lease(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	s := serve(t, server.Client(t), "endpoints: %q", server.Endpoints()[0])
	short, err := concurrency.NewSession(s.client, concurrency.WithTTL(3))
	require.NoError(t, err)
	var before *clientv3.PutResponse
	for range 10 { // further than what the service puts again will bring the wiped server
		before, err = s.client.Put(within(t, plenty), "app/k", "v", clientv3.WithLease(short.Lease()))
		require.NoError(t, err)
	}

	s.reign.Store(nil) // a server that begins anew has no greater terms
	server.Wipe()
	server.Restart()
	got, err := s.client.Get(within(t, plenty), "app/k")
	require.NoError(t, err)
	assert.Empty(t, got.Kvs)
	assert.Less(t, got.Header.Revision, before.Header.Revision)
	require.NoError(t, s.check(t, plenty))
	select {
	case <-short.Done():
	case <-within(t, plenty).Done():
		require.Fail(t, "the lease's loss is noticed")
	}
	s.recover(t)

	again, err := concurrency.NewSession(s.client, concurrency.WithTTL(3))
	require.NoError(t, err)
	require.NoError(t, concurrency.NewMutex(again, "app/lock").Lock(within(t, plenty)))
}
