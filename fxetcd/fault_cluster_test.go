package fxetcd_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E12: what a client of all members sees of the loss of one's peers, of the leader, and of the quorum.
func TestE12_a_client_of_a_cluster_outlives_each_of_its_losses(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	all := cluster.Endpoints()
	s := serve(t, cluster.Client(t), "endpoints: [%q, %q, %q]", all[0], all[1], all[2])

	// leaderless waits until a member knows that it has lost its leader.
	leaderless := func(t *testing.T, member int) {
		t.Helper()
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			status, err := s.client.Status(ctx, all[member])
			return err == nil && status.Leader == 0
		}, ttl, 10*time.Millisecond)
	}

	t.Run("peer partition", func(t *testing.T) {
		cut := cluster.Leader()
		require.NotEqual(t, -1, cut)
		cluster.Partition(cut)
		leaderless(t, cut)
		require.Eventually(t, func() bool { return cluster.Leader() != -1 }, ttl, 10*time.Millisecond)

		for range 12 { // the members take turns
			_, err := s.client.Get(within(t, ttl), "app/k")
			require.NoError(t, err, "a read goes on at another member")
		}
		var writes []write
		refused := 0
		for i := range 12 {
			this := s.once(within(t, ttl), fmt.Sprint("partition/", i))
			if writes = append(writes, this); this.err != nil {
				refused++
				require.ErrorIs(t, this.err, rpctypes.ErrNoLeader, "a write is refused, not kept waiting")
			}
		}
		assert.NotZero(t, refused)
		assert.Less(t, refused, len(writes))
		require.NoError(t, s.check(t, plenty), "a cluster that answers is healthy")

		cluster.Heal(cut)
		s.recovers(t)
		s.outcome(t, writes)
	})

	t.Run("leader change", func(t *testing.T) {
		old := cluster.Leader()
		require.NotEqual(t, -1, old)
		var writes []write
		stopped := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			after := 0
			for i := 0; after < 20; i++ { // until the new leader has been at work for a while
				this := s.once(within(t, time.Second), fmt.Sprint("leader/", i))
				writes = append(writes, this)
				select {
				case <-stopped:
					if this.err == nil {
						after++
					}
				default:
				}
			}
		}()
		cluster.Stop(old)
		close(stopped)
		select {
		case <-done:
		case <-within(t, ttl).Done():
			require.Fail(t, "no writes after the change of leader")
		}
		assert.NotEqual(t, old, cluster.Leader())
		s.recovers(t)
		cluster.Restart(old)
		s.recovers(t)
		s.outcome(t, writes)
	})

	t.Run("quorum loss", func(t *testing.T) {
		leader := cluster.Leader()
		require.NotEqual(t, -1, leader)
		left := (leader + 1) % 3
		cluster.Stop(leader)
		cluster.Stop((leader + 2) % 3)
		leaderless(t, left)

		var writes []write
		require.Eventually(t, func() bool { // the other connections' ends are noticed
			writes = append(writes, s.once(within(t, plenty), fmt.Sprint("quorum/", len(writes))))
			return errors.Is(writes[len(writes)-1].err, rpctypes.ErrNoLeader)
		}, ttl, 10*time.Millisecond, "a write is refused, not kept waiting")
		checked := make(chan error)
		go func() { checked <- s.check(t, plenty) }()
		_, err := s.client.Get(within(t, ttl), "app/k")
		require.ErrorIs(t, err, rpctypes.ErrNoLeader, "a read is, when it has tried often enough")
		require.ErrorContains(t, <-checked, "the server has lost its cluster's leader")

		cluster.Restart(leader)
		s.recovers(t)
		cluster.Restart((leader + 2) % 3)
		s.recovers(t)
		s.outcome(t, writes)
	})
}
