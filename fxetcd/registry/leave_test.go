package registry_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

func TestE8_the_drainDelay_counts_also_when_the_last_update_has_failed(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t, etcdtest.WithQuota(2<<20))
	admin := server.Client(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{DrainDelay: 300 * time.Millisecond})
	g := register(t, r, order("a"))
	fill(t, admin)
	changed := order("a")
	changed.Address = "10.0.0.2:80"
	_, err := r.Register(briefly(t), changed)
	require.Error(t, err)
	eventually(t, func() bool { return g.Err() != nil }, "the update fails")
	assert.Len(t, raw(t, admin), 1, "it is listed as it was")
	start := time.Now()
	require.NoError(t, r.Leave(t.Context()))
	assert.GreaterOrEqual(t, time.Since(start), 300*time.Millisecond)
	assert.Empty(t, raw(t, admin))
}

func TestE8_Stop_finishes_what_Leave_has_begun(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	for name, during := range map[string]bool{"while Leave waits for etcd": true, "after Leave has given up": false} {
		t.Run(name, func(t *testing.T) {
			c, _ := newClient(t, []string{proxy.Endpoint()})
			r := newRegistry(t, c, registry.Config{DrainDelay: time.Minute})
			g := register(t, r, order("a"))
			proxy.Delay(200 * time.Millisecond)
			var leaving sync.WaitGroup
			ctx, giveUp := context.WithCancel(t.Context())
			leaving.Go(func() { _ = r.Leave(ctx) })
			eventually(t, func() bool { return g.State() == registry.Pending }, "Leave has begun")
			if !during {
				giveUp()
				leaving.Wait()
			}
			start := time.Now()
			require.NoError(t, r.Stop(t.Context()))
			assert.Less(t, time.Since(start), 10*time.Second, "the drainDelay is not for Stop")
			assert.Empty(t, raw(t, server.Client(t)))
			proxy.Delay(0)
			giveUp()
			leaving.Wait()
		})
	}
}

func TestE8_a_drainDelay_that_is_cut_short_is_logged(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, _ := newClient(t, server.Endpoints())
	core, logged := observer.New(zap.WarnLevel)
	r := newRegistry(t, c, registry.Config{DrainDelay: time.Minute}, registry.WithLogger(zap.New(core)))
	register(t, r, order("a"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.NoError(t, r.Leave(ctx))
	require.Equal(t, 1, logged.Len())
	assert.Equal(t, "the drainDelay is cut short: the time to stop is over", logged.All()[0].Message)
}

// expiry closes a channel when the client has taken in, for the first time, that a lease does not exist any more.
func expiry(told chan struct{}) func(*clientv3.Config) {
	return aroundAlive(func(s grpc.ClientStream) grpc.ClientStream { return &expiring{ClientStream: s, told: told} })
}

type expiring struct {
	grpc.ClientStream
	told    chan struct{}
	expired bool
}

func (s *expiring) RecvMsg(m any) error {
	if s.expired && s.told != nil {
		close(s.told)
		s.told = nil
	}
	err := s.ClientStream.RecvMsg(m)
	if answer, ok := m.(*etcdserverpb.LeaseKeepAliveResponse); ok && err == nil && answer.TTL == 0 {
		s.expired = true
	}
	return err
}

func TestE8_an_instance_that_comes_as_the_last_one_goes_is_no_trouble(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	revoked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	told := make(chan struct{})
	c, _ := newClient(t, server.Endpoints(), expiry(told), around(func(_ context.Context, method string, call func() error) error {
		err := call()
		if method == revokeMethod {
			once.Do(func() {
				close(revoked)
				<-release
			})
		}
		return err
	}))
	core, logged := observer.New(zap.DebugLevel)
	r := newRegistry(t, c, registry.Config{}, registry.WithLogger(zap.New(core)))
	g := register(t, r, order("a"))
	var both sync.WaitGroup
	both.Go(func() { assert.NoError(t, g.Deregister(t.Context())) })
	<-revoked
	both.Go(func() {
		h, err := r.Register(t.Context(), order("b"))
		if assert.NoError(t, err) {
			assert.Equal(t, registry.Online, h.State())
		}
	})
	_, err := r.Register(briefly(t), order("b"))
	require.ErrorIs(t, err, context.DeadlineExceeded, "it has to wait until the old lease is gone")
	<-told // the client knows that the lease is gone before its revoker does
	close(release)
	both.Wait()
	assert.Equal(t, []string{"services/order/b"}, keysOf(raw(t, c)))
	assert.Empty(t, logged.All())
}
