package registry_test

import (
	"context"
	"fmt"
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

// lateAnswers is a client that is told of its leases only when nothing is held, and counts how often it is.
func lateAnswers(held *sync.RWMutex, told *atomic.Int64) func(*clientv3.Config) {
	return func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				s, err := streamer(ctx, desc, cc, method, opts...)
				if err == nil && method == aliveMethod {
					s = lateStream{s, held, told}
				}
				return s, err
			}))
	}
}

type lateStream struct {
	grpc.ClientStream

	held *sync.RWMutex
	told *atomic.Int64
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
	c, _ := newClient(t, server.Endpoints(), lateAnswers(&held, &told))
	// Etcd's client gives a lease up at whole seconds since its first request. It asks for this one to be kept at 0 s and at 0.5 s, so
	// there is half a second after the lease is no longer sure.
	r := newRegistry(t, c, registry.Config{TTL: time.Second})
	g := register(t, r, order("a"))
	eventually(t, func() bool { return told.Load() == 2 }, "the lease is kept")
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
