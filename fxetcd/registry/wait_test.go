package registry_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

func briefly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestE8_Register_waits_no_longer_than_its_context_and_leaves_nothing(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	server.Kill()
	_, err := r.Register(briefly(t), order("a"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, `registry: register "order/a": etcd does not answer: context deadline exceeded`)
	server.Restart()
	register(t, r, order("b"))
	assert.Equal(t, []string{"services/order/b"}, keysOf(raw(t, c)))
}

func TestE8_a_put_whose_answer_is_lost_is_taken_back_when_Register_gives_up(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	var lose atomic.Bool
	given := make(chan struct{})
	c, _ := newClient(t, server.Endpoints(), around(func(_ context.Context, method string, call func() error) error {
		err := call()
		if method == putMethod && lose.CompareAndSwap(true, false) {
			<-given
			return status.Error(codes.Unavailable, "error reading from server: connection reset by peer")
		}
		return err
	}))
	r := newRegistry(t, c, registry.Config{})
	register(t, r, order("b")) // there is a lease
	lose.Store(true)
	_, err := r.Register(briefly(t), order("a"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Len(t, raw(t, c), 2, "it is there")
	close(given)
	within(t, back, func() bool { return assert.ObjectsAreEqual([]string{"services/order/b"}, keysOf(raw(t, c))) }, "and not for long")
}

func TestE8_Register_after_an_unfinished_Deregister_leaves_nothing_either(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, _ := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	g := register(t, r, order("a"))
	server.Kill()
	require.ErrorIs(t, g.Deregister(briefly(t)), context.DeadlineExceeded)
	_, err := r.Register(briefly(t), order("a"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	server.Restart()
	eventually(t, func() bool { return g.State() == registry.Deregistered }, "it is gone")
	assert.Empty(t, raw(t, c))
}

func TestE8_a_Register_that_gives_up_does_not_decide_for_others_that_wait(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	server.Kill()
	impatient, giveUp := context.WithCancel(t.Context())
	var first, others, begun sync.WaitGroup
	first.Go(func() {
		_, err := r.Register(impatient, order("a"))
		assert.ErrorIs(t, err, context.Canceled)
	})
	eventually(t, func() bool { return n.count(grantMethod) > 0 }, "the first waits")
	for range 10 {
		begun.Add(1)
		others.Go(func() {
			begun.Done()
			g, err := r.Register(t.Context(), order("a"))
			if assert.NoError(t, err) {
				assert.Equal(t, registry.Online, g.State(), "when it returns")
			}
		})
	}
	begun.Wait()
	giveUp()
	first.Wait()
	server.Restart()
	others.Wait()
	assert.Len(t, raw(t, c), 1)
}

func TestE8_Register_during_Leave_is_refused(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	server.Pause()
	var both sync.WaitGroup
	both.Go(func() {
		_, err := r.Register(t.Context(), order("a"))
		assert.EqualError(t, err, `registry: register "order/a": the registry is stopped`)
	})
	eventually(t, func() bool { return n.count(grantMethod) > 0 }, "Register waits")
	both.Go(func() { assert.NoError(t, r.Leave(t.Context())) })
	eventually(t, func() bool {
		_, err := r.Register(briefly(t), order("a"))
		return errors.Is(err, registry.ErrStopped)
	}, "Leave has begun")
	server.Resume()
	both.Wait()
	assert.Empty(t, raw(t, c))
}

func TestE8_Register_says_that_the_instance_was_deregistered_meanwhile(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{})
	g := register(t, r, order("a"))
	puts := n.count(putMethod)
	server.Pause()
	var update sync.WaitGroup
	update.Go(func() {
		changed := order("a")
		changed.Address = "10.0.0.2:80"
		_, err := r.Register(t.Context(), changed)
		assert.EqualError(t, err, `registry: register "order/a": it was deregistered meanwhile`)
	})
	eventually(t, func() bool { return n.count(putMethod) > puts }, "Register waits")
	require.ErrorIs(t, g.Deregister(briefly(t)), context.DeadlineExceeded)
	update.Wait()
	server.Resume()
	eventually(t, func() bool { return g.State() == registry.Deregistered }, "it is gone")
	assert.Empty(t, raw(t, c))
}
