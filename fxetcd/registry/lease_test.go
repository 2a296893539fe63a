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
	clientv3 "go.etcd.io/etcd/client/v3"
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

// lateAnswers is a client that is told of its leases only when nothing is held, and counts how often it is. It notes when it asked last.
func lateAnswers(held *sync.RWMutex, told *atomic.Int64, asked *atomic.Pointer[time.Time]) func(*clientv3.Config) {
	return func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				s, err := streamer(ctx, desc, cc, method, opts...)
				if err == nil && method == aliveMethod {
					s = lateStream{s, held, told, asked}
				}
				return s, err
			}))
	}
}

type lateStream struct {
	grpc.ClientStream

	held  *sync.RWMutex
	told  *atomic.Int64
	asked *atomic.Pointer[time.Time]
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
	server := etcdtest.Start(t)
	var held sync.RWMutex
	var told atomic.Int64
	var asked atomic.Pointer[time.Time]
	c, _ := newClient(t, server.Endpoints(), lateAnswers(&held, &told, &asked))
	// A second after the answer that is held the lease is no longer sure, and then lives for a second yet.
	r := newRegistry(t, c, registry.Config{TTL: 3 * time.Second})
	g := register(t, r, order("a"))
	eventually(t, func() bool { return told.Load() == 1 }, "the lease is kept")
	held.Lock()
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
	held.Unlock()
	waiting.Wait()
	require.Equal(t, registry.Online, g.State())
}

func TestE8_State_counts_a_lease_from_when_its_renewal_was_asked_for(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	var held sync.RWMutex
	var told atomic.Int64
	var asked atomic.Pointer[time.Time]
	c, _ := newClient(t, server.Endpoints(), lateAnswers(&held, &told, &asked))
	r := newRegistry(t, c, registry.Config{TTL: 3 * time.Second})
	g := register(t, r, order("a"))
	eventually(t, func() bool { return told.Load() == 1 }, "the lease is kept")
	held.Lock()
	first := *asked.Load()
	eventually(t, func() bool { return asked.Load().After(first) }, "the second renewal")
	sent := *asked.Load()
	eventually(t, func() bool { return time.Since(sent) > 800*time.Millisecond }, "its answer takes that long")
	held.Unlock()
	eventually(t, func() bool { return told.Load() == 2 }, "it comes")
	held.Lock()
	defer held.Unlock()
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
