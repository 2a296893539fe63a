package exclusive_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

// A reign is one call of a leader's fn.
type reign struct {
	who  string
	ctx  context.Context
	term exclusive.Term
}

// campaign leads "job" until ctx ends, and reports each reign.
func campaign(ctx context.Context, x *exclusive.Exclusive, who string, reigns chan<- reign) <-chan error {
	done := make(chan error, 1)
	go func() {
		done <- x.Lead(ctx, "job", func(ctx context.Context, term exclusive.Term) error {
			reigns <- reign{who, ctx, term}
			<-ctx.Done()
			return nil
		})
	}()
	return done
}

// E10: one leader; the next takes over when it resigns.
func TestE10_leaders_follow_each_other(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	reigns := make(chan reign)
	stop, done := map[string]context.CancelFunc{}, map[string]<-chan error{}
	for _, who := range []string{"ada", "grace", "mary"} {
		ctx, cancel := context.WithCancel(t.Context())
		stop[who] = cancel
		// A lease that is not given back would cost the next one a minute, and this test its patience.
		done[who] = campaign(ctx, process(t, time.Minute, server.Endpoints()...), who, reigns)
	}
	var last int64
	for range 3 {
		leader := <-reigns
		assert.Greater(t, leader.term.Revision, last)
		last = leader.term.Revision
		select {
		case second := <-reigns:
			assert.Fail(t, "two leaders", "%s and %s", leader.who, second.who)
		default:
		}
		stop[leader.who]()
		assert.NoError(t, <-done[leader.who])
	}
	assert.Empty(t, keys(t, connect(t, server.Endpoints()...)))
}

// E10: Lead campaigns again after a loss until its own context ends.
func TestE10_a_deposed_leader_campaigns_again(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := connect(t, server.Endpoints()...)
	ctx, cancel := context.WithCancel(t.Context())
	reigns := make(chan reign)
	done := campaign(ctx, process(t, 5*time.Second, server.Endpoints()...), "ada", reigns)
	first := <-reigns
	_, err := admin.Delete(t.Context(), "exclusive/", clientv3.WithPrefix())
	require.NoError(t, err)
	<-first.ctx.Done()
	assert.ErrorIs(t, context.Cause(first.ctx), exclusive.ErrLost)
	second := <-reigns
	assert.Greater(t, second.term.Revision, first.term.Revision)
	cancel()
	assert.NoError(t, <-done)
}

// E10: a campaign that is won has a lease (upstream's can be won without).
func TestE10_nobody_leads_with_a_lease_that_is_gone(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	admin := connect(t, server.Endpoints()...)
	x := process(t, 5*time.Second, server.Endpoints()...)
	_, held, release := holding(t, process(t, 5*time.Second, server.Endpoints()...), "job")
	leases, err := admin.Leases(t.Context())
	require.NoError(t, err)
	holder := leases.Leases[0].ID

	entered := make(chan exclusive.Term, 1)
	done := make(chan error)
	go func() {
		done <- x.Lock(t.Context(), "job", func(ctx context.Context, term exclusive.Term) error {
			entered <- term
			fenced, err := admin.Txn(ctx).If(term.Guard).Then(clientv3.OpPut("written", "x")).Commit()
			assert.NoError(t, err)
			assert.True(t, err == nil && fenced.Succeeded, "the term has a key")
			return nil
		})
	}()
	waiting := func() clientv3.LeaseID {
		for {
			leases, err := admin.Leases(t.Context())
			require.NoError(t, err)
			for _, l := range leases.Leases {
				if l.ID != holder && len(keys(t, admin)) == 2 {
					return l.ID
				}
			}
		}
	}()
	_, err = admin.Revoke(t.Context(), waiting)
	require.NoError(t, err)
	require.NoError(t, release())
	term := <-entered
	assert.Greater(t, term.Revision, held.Revision)
	assert.NoError(t, <-done)
}

// E10: a holder that stops resigns.
func TestE10_stop_ends_leading_first_and_locks_last(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	x := process(t, time.Minute, server.Endpoints()...)
	reigns := make(chan reign)
	done := campaign(t.Context(), x, "ada", reigns)
	leader := <-reigns
	_, _, release := holding(t, x, "job")
	waits := make(chan error)
	go func() { waits <- x.Lock(context.Background(), "job", nothing) }()

	require.NoError(t, x.StopLeading(t.Context()))
	assert.ErrorIs(t, context.Cause(leader.ctx), exclusive.ErrStopped)
	assert.NoError(t, <-done)
	assert.ErrorIs(t, x.Lead(t.Context(), "job", nothing), exclusive.ErrStopped)
	assert.NoError(t, x.Lock(t.Context(), "other", nothing), "tasks that are drained may still lock")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorContains(t, x.Close(ended), "of Lock still run")
	require.NoError(t, release())
	assert.ErrorIs(t, <-waits, exclusive.ErrStopped, "who waits is told")
	require.NoError(t, x.Close(t.Context()))
	assert.ErrorIs(t, x.Lock(t.Context(), "job", nothing), exclusive.ErrStopped)
	assert.Empty(t, keys(t, connect(t, server.Endpoints()...)))
}
