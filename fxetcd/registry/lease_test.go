package registry_test

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
	"google.golang.org/grpc"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

func TestE8_an_instance_stays_Online_while_the_puts_of_others_take_long(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	var slow atomic.Bool
	c, n := newClient(t, server.Endpoints(), around(func(ctx context.Context, method string, call func() error) error {
		if method == putMethod && slow.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		return call()
	}))
	r := newRegistry(t, c, registry.Config{TTL: 2 * time.Second})
	g := register(t, r, order("a"))
	grants := n.count(grantMethod)
	slow.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for i := range 40 { // more than are put at once: it takes longer than the TTL
		others.Go(func() {
			_, err := r.Register(ctx, order(fmt.Sprint(i)))
			assert.ErrorIs(t, err, context.Canceled)
		})
	}
	deadline := time.Now().Add(3 * time.Second)
	eventually(t, func() bool {
		return assert.Equal(t, registry.Online, g.State()) && time.Now().After(deadline)
	}, "three seconds")
	assert.Equal(t, grants, n.count(grantMethod), "the lease is the same")
	slow.Store(false)
	cancel()
	others.Wait()
}

// leaseAnswers is what a client is told of its leases: only when nothing is held.
type leaseAnswers struct {
	held  sync.RWMutex
	told  atomic.Int64              // how many there were
	asked atomic.Pointer[time.Time] // when it asked last
}

// keptOnce is an instance with a TTL of three seconds whose lease was renewed once. Further answers are held.
func keptOnce(t *testing.T) (*leaseAnswers, *registry.Registry, *registry.Registration) {
	t.Helper()
	server, late := etcdtest.Start(t), new(leaseAnswers)
	c, _ := newClient(t, server.Endpoints(), aroundAlive(func(s grpc.ClientStream) grpc.ClientStream { return lateStream{s, late} }))
	r := newRegistry(t, c, registry.Config{TTL: 3 * time.Second})
	g := register(t, r, order("a"))
	eventually(t, func() bool { return late.told.Load() == 1 }, "the lease is kept")
	late.held.Lock()
	return late, r, g
}

type lateStream struct {
	grpc.ClientStream
	*leaseAnswers
}

func (s lateStream) SendMsg(m any) error {
	now := time.Now()
	s.asked.Store(&now)
	return s.ClientStream.SendMsg(m)
}

func (s lateStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	s.held.RLock()
	defer s.held.RUnlock()
	s.told.Add(1)
	return err
}

func TestE8_those_who_wait_learn_that_a_lease_was_renewed_after_all(t *testing.T) {
	t.Parallel()
	// A second after the answer that is held the lease is no longer sure, and then lives for a second yet.
	late, r, g := keptOnce(t)
	eventually(t, func() bool { return g.State() == registry.Pending }, "nothing proves that it is listed")
	var waiting, begun sync.WaitGroup
	for range 50 {
		begun.Add(1)
		waiting.Go(func() {
			begun.Done()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := r.Register(ctx, order("a"))
			assert.NoError(t, err)
		})
	}
	begun.Wait()
	late.held.Unlock()
	waiting.Wait()
	require.Equal(t, registry.Online, g.State())
}

func TestE8_State_counts_a_lease_from_when_its_renewal_was_asked_for(t *testing.T) {
	t.Parallel()
	late, _, g := keptOnce(t)
	first := *late.asked.Load()
	eventually(t, func() bool { return late.asked.Load().After(first) }, "the second renewal")
	sent := *late.asked.Load()
	eventually(t, func() bool { return time.Since(sent) > 800*time.Millisecond }, "its answer takes that long")
	late.held.Unlock()
	eventually(t, func() bool { return late.told.Load() == 2 }, "it comes")
	late.held.Lock()
	defer late.held.Unlock()
	eventually(t, func() bool { return g.State() == registry.Pending }, "and is the last")
	err, since := g.Err(), time.Since(sent)
	require.ErrorContains(t, err, "etcd has not confirmed the lease for ")
	text, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "etcd has not confirmed the lease for "), ",")
	silent, err := time.ParseDuration(text)
	require.NoError(t, err)
	assert.InDelta(t, since.Seconds(), silent.Seconds(), 0.4)
}

func TestE8_Err_says_why_while_etcd_is_away(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{TTL: 2 * time.Second})
	g := register(t, r, order("a"))
	assert.NoError(t, g.Err())
	server.Kill()
	eventually(t, func() bool { return g.State() == registry.Pending }, "nothing proves that it is listed")
	require.ErrorContains(t, g.Err(), "longer than its TTL")
	assert.ErrorContains(t, g.Deregister(briefly(t)), `registry: deregister "order/a": `)
	stop, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	assert.ErrorContains(t, r.Stop(stop), "; it stays listed for 2s at most")
	assert.NoError(t, r.Stop(t.Context()), "there is nothing left to do")
}
