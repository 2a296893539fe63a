package keepalive_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/internal/keepalive"
	"github.com/fxkit/fxkit/internal/backoff"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ttl = 3 * time.Second

type answer struct {
	sent, received time.Time
	ttl            time.Duration
}

// keep renews a new lease, through the endpoint, until the test ends. The error comes when Run has returned.
func keep(t *testing.T, endpoint string) (clientv3.LeaseID, <-chan answer, <-chan error) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	require.NoError(t, err)
	granted, err := c.Grant(t.Context(), int64(ttl/time.Second))
	require.NoError(t, err)
	answers, ended := make(chan answer, 100), make(chan error, 1)
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- keepalive.Lease{
			Client: c, ID: granted.ID, TTL: ttl, Retry: backoff.Policy{Base: 10 * time.Millisecond, Max: 50 * time.Millisecond},
			Alive: func(sent time.Time, ttl time.Duration) { answers <- answer{sent, time.Now(), ttl} },
		}.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel(errEnough)
		<-done
		assert.NoError(t, c.Close())
	})
	return granted.ID, answers, ended
}

var errEnough = errors.New("enough")

// E10, E8
func TestA_lease_is_proven_since_its_renewal_was_asked_for(t *testing.T) {
	t.Parallel()
	proxy := etcdtest.StartProxy(t, etcdtest.Start(t).Endpoints()[0])
	_, answers, _ := keep(t, proxy.Endpoint())
	<-answers
	proxy.Delay(200 * time.Millisecond)
	var a answer
	for range 3 { // the first may have been on its way already
		a = <-answers
	}
	assert.Equal(t, ttl, a.ttl)
	assert.GreaterOrEqual(t, a.received.Sub(a.sent), 200*time.Millisecond)
}

func TestA_lease_outlives_an_outage_that_its_server_has_not_counted(t *testing.T) {
	t.Parallel()
	proxy := etcdtest.StartProxy(t, etcdtest.Start(t).Endpoints()[0])
	_, answers, _ := keep(t, proxy.Endpoint())
	<-answers
	for range 3 {
		proxy.Reset()
		for len(answers) > 0 {
			<-answers
		}
		proxy.Heal()
		<-answers
	}
}

func TestA_lease_that_is_gone_is_told_of(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	id, answers, ended := keep(t, server.Endpoints()[0])
	<-answers
	_, err := server.Client(t).Revoke(t.Context(), id)
	require.NoError(t, err)
	select {
	case err := <-ended:
		assert.ErrorIs(t, err, keepalive.ErrGone)
	case <-time.After(20 * time.Second):
		assert.Fail(t, "it is renewed still")
	}
}

func TestRun_ends_with_its_context(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	var ended <-chan error
	t.Run("while the server answers", func(t *testing.T) {
		var answers <-chan answer
		_, answers, ended = keep(t, server.Endpoints()[0])
		<-answers
	})
	assert.ErrorIs(t, <-ended, errEnough)
	t.Run("while it does not", func(t *testing.T) {
		proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
		var answers <-chan answer
		_, answers, ended = keep(t, proxy.Endpoint())
		<-answers
		proxy.Drop()
	})
	assert.ErrorIs(t, <-ended, errEnough)
}
