package etcdtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// within is a context for what must not take long.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestE12_a_cluster_goes_on_without_one_member_and_takes_it_back(t *testing.T) {
	t.Parallel()
	c := etcdtest.StartCluster(t, 3)
	require.Len(t, c.Endpoints(), 3)
	leader := c.Leader()
	require.NotEqual(t, -1, leader)

	c.Stop(leader)
	c.Stop(leader)
	others := c.Client(t, (leader+1)%3, (leader+2)%3)
	put(t, others, "k", "v")
	assert.NotEqual(t, leader, c.Leader())

	c.Restart(leader)
	got, err := c.Client(t, leader).Get(within(t, plenty), "k")
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1, "the member has what was written while it was away")
}

func TestE12_a_partitioned_leader_writes_nothing_until_it_heals(t *testing.T) {
	t.Parallel()
	c := etcdtest.StartCluster(t, 3)
	old := c.Leader()
	require.NotEqual(t, -1, old)
	alone := c.Client(t, old)
	put(t, alone, "before", "")

	c.Partition(old)
	others := c.Client(t, (old+1)%3, (old+2)%3)
	put(t, others, "k", "v")
	assert.NotEqual(t, old, c.Leader())
	_, err := alone.Get(clientv3.WithRequireLeader(within(t, time.Second)), "k")
	require.Error(t, err)

	c.Heal(old)
	got, err := alone.Get(within(t, plenty), "k")
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1)
}

func TestE12_a_cluster_without_a_quorum_comes_back(t *testing.T) {
	t.Parallel()
	c := etcdtest.StartCluster(t, 3)
	all := c.Client(t)
	put(t, all, "k", "v")
	for i := range 3 {
		c.Stop(i)
	}
	assert.Equal(t, -1, c.Leader())
	c.Restart(0) // returns, although one of three cannot be ready
	c.Restart(1)
	got, err := all.Get(within(t, plenty), "k")
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1)

	c.Partition(2)
	c.Restart(2)
	c.Heal(2)
	got, err = c.Client(t, 2).Get(within(t, plenty), "k")
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1)
}

func TestE12_a_partition_outlasts_a_restart_and_ends_with_Heal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		partition func(c *etcdtest.Cluster, i int)
	}{
		{"of a member that runs", (*etcdtest.Cluster).Partition},
		{"of a member that is stopped", func(c *etcdtest.Cluster, i int) {
			c.Stop(i)
			c.Partition(i)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := etcdtest.StartCluster(t, 3)
			leader := c.Leader()
			require.NotEqual(t, -1, leader)
			i := (leader + 1) % 3
			tt.partition(c, i)
			c.Restart(i)
			member := c.Client(t, i)
			_, err := member.Get(within(t, 3*time.Second), "k") // a client that came before the member comes again after a second
			require.Error(t, err, "it reaches nobody, so it has no quorum")
			put(t, c.Client(t, leader), "k", "v")

			c.Heal(i)
			got, err := member.Get(within(t, plenty), "k")
			require.NoError(t, err)
			assert.Len(t, got.Kvs, 1)
		})
	}
}

func TestE12_a_partition_that_ends_while_another_member_is_stopped_has_ended_for_that_one_too(t *testing.T) {
	t.Parallel()
	c := etcdtest.StartCluster(t, 3)
	c.Partition(0)
	c.Stop(1)
	c.Stop(2)
	c.Heal(0)
	c.Restart(1) // has a quorum with member 0 alone
	put(t, c.Client(t, 0, 1), "k", "v")
}

func TestE12_a_leader_is_one_that_all_members_know(t *testing.T) {
	t.Parallel()
	c := etcdtest.StartCluster(t, 3)
	all := c.Client(t)
	leader := c.Leader()
	require.NotEqual(t, -1, leader)
	knows := func(i int) uint64 {
		status, err := all.Status(within(t, plenty), c.Endpoints()[i])
		require.NoError(t, err)
		return status.Leader
	}
	for _, i := range []int{(leader + 1) % 3, (leader + 2) % 3} {
		c.Partition(i)
		require.Eventually(t, func() bool { return knows(i) == 0 }, plenty, time.Millisecond)
		c.Heal(i)
		require.Eventually(t, func() bool { return c.Leader() != -1 }, plenty, time.Millisecond)
		assert.NotZero(t, knows(i), "the member that was away knows the leader again")
	}
}

// put writes as soon as the cluster lets it. A write that is sent while leaders change waits for five seconds, hence the short tries.
func put(t *testing.T, c *clientv3.Client, key, value string) {
	t.Helper()
	all := within(t, plenty)
	for {
		try, cancel := context.WithTimeout(all, 200*time.Millisecond)
		_, err := c.Put(try, key, value)
		cancel()
		if err == nil {
			return
		}
		require.NoError(t, all.Err(), "last error: %v", err)
	}
}
