package fxetcd_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

// E12: the history that a watch needs is compacted while it is away. It says so, and from when on it could go on.
func TestE12_a_watch_is_told_what_compaction_has_taken_from_it(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	s := serve(t, server.Client(t), "endpoints: %q", proxy.Endpoint())
	s.hears(t)
	old := s.last

	proxy.Drop()
	proxy.Reset() // so that the watch has to begin again, and cannot yet
	var kept int64
	for i := range 3 {
		put, err := s.admin.Put(within(t, plenty), "app/k", fmt.Sprint(i))
		require.NoError(t, err)
		kept = put.Header.Revision
	}
	_, err := s.admin.Compact(within(t, plenty), kept)
	require.NoError(t, err)
	proxy.Heal()

	select {
	case r := <-s.events:
		require.ErrorIs(t, r.Err(), rpctypes.ErrCompacted)
		assert.Equal(t, kept, r.CompactRevision)
	case <-within(t, ttl).Done():
		require.Fail(t, "the watch is silent")
	}
	_, open := <-s.events
	assert.False(t, open)
	_, err = s.client.Get(within(t, plenty), "app/k", clientv3.WithRev(old))
	require.ErrorIs(t, err, rpctypes.ErrCompacted)
	require.NoError(t, s.check(t, plenty))

	s.last = kept - 1
	s.watch()
	s.recovers(t)
}

// E12: the database is full. Reads, deletions and leases that live go on, and the client that is refused can make the room itself.
func TestE12_a_full_server_refuses_writes_alone_until_there_is_room(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t, etcdtest.WithQuota(2<<20))
	s := serve(t, server.Client(t), "endpoints: %q", server.Endpoints()[0])
	big := strings.Repeat("x", 256<<10)
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 100)
		_, err = s.client.Put(within(t, plenty), fmt.Sprint("big/", i), big)
	}
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	s.unshaken(t)
	_, err = s.admin.Delete(within(t, plenty), "app/services/", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return s.instance.State() == registry.Pending && errors.Is(s.instance.Err(), rpctypes.ErrNoSpace)
	}, plenty, 10*time.Millisecond, "what has to be written again waits, and says what for")

	_, err = s.client.Grant(within(t, plenty), 10)
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	got, err := s.client.Get(within(t, plenty), "big/0", clientv3.WithKeysOnly())
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1)
	_, err = s.client.KeepAliveOnce(within(t, plenty), s.session.Lease())
	require.NoError(t, err)
	require.NoError(t, s.check(t, plenty), "readers are served")

	deleted, err := s.client.Delete(within(t, plenty), "big/", clientv3.WithPrefix())
	require.NoError(t, err)
	_, err = s.client.Compact(within(t, plenty), deleted.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(t, err)
	_, err = s.client.Defragment(within(t, ttl), server.Endpoints()[0])
	require.NoError(t, err)
	alarms, err := s.client.AlarmList(within(t, plenty))
	require.NoError(t, err)
	require.Len(t, alarms.Alarms, 1)
	assert.Equal(t, pb.AlarmType_NOSPACE, alarms.Alarms[0].Alarm)
	_, err = s.client.AlarmDisarm(within(t, plenty), (*clientv3.AlarmMember)(alarms.Alarms[0]))
	require.NoError(t, err)
	_, err = s.client.Put(within(t, plenty), "big/0", big)
	require.NoError(t, err)
	s.recovers(t)
}
