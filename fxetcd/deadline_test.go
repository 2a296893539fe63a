package fxetcd_test

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// everyCall is each that a client has, by the name of its method, but for those that last.
func everyCall(ctx context.Context, c *clientv3.Client) map[string]func() error {
	return map[string]func() error{
		"Get":                func() error { _, err := c.Get(ctx, "k"); return err },
		"Put":                func() error { _, err := c.Put(ctx, "k", "v"); return err },
		"Delete":             func() error { _, err := c.Delete(ctx, "k"); return err },
		"Compact":            func() error { _, err := c.Compact(ctx, 1); return err },
		"Do":                 func() error { _, err := c.Do(ctx, clientv3.OpGet("k")); return err },
		"Txn":                func() error { _, err := c.Txn(ctx).Then(clientv3.OpPut("k", "v")).Commit(); return err },
		"Txn of Gets":        func() error { _, err := c.Txn(ctx).Then(clientv3.OpGet("k")).Commit(); return err },
		"Grant":              func() error { _, err := c.Grant(ctx, 1); return err },
		"Revoke":             func() error { _, err := c.Revoke(ctx, 1); return err },
		"TimeToLive":         func() error { _, err := c.TimeToLive(ctx, 1); return err },
		"Leases":             func() error { _, err := c.Leases(ctx); return err },
		"KeepAliveOnce":      func() error { _, err := c.KeepAliveOnce(ctx, 1); return err },
		"MemberList":         func() error { _, err := c.MemberList(ctx); return err },
		"MemberAdd":          func() error { _, err := c.MemberAdd(ctx, []string{"http://a:1"}); return err },
		"MemberAddAsLearner": func() error { _, err := c.MemberAddAsLearner(ctx, []string{"http://a:1"}); return err },
		"MemberRemove":       func() error { _, err := c.MemberRemove(ctx, 1); return err },
		"MemberUpdate":       func() error { _, err := c.MemberUpdate(ctx, 1, []string{"http://a:1"}); return err },
		"MemberPromote":      func() error { _, err := c.MemberPromote(ctx, 1); return err },
		"AlarmList":          func() error { _, err := c.AlarmList(ctx); return err },
		"AlarmDisarm":        func() error { _, err := c.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: 1, Alarm: 1}); return err },
		"Status":             func() error { _, err := c.Status(ctx, c.Endpoints()[0]); return err },
		"HashKV":             func() error { _, err := c.HashKV(ctx, c.Endpoints()[0], 0); return err },
		"MoveLeader":         func() error { _, err := c.MoveLeader(ctx, 1); return err },
		"Downgrade":          func() error { _, err := c.Downgrade(ctx, clientv3.DowngradeValidate, "3.6.0"); return err },
		"Authenticate":       func() error { _, err := c.Authenticate(ctx, "a", "b"); return err },
		"AuthStatus":         func() error { _, err := c.AuthStatus(ctx); return err },
		"AuthEnable":         func() error { _, err := c.AuthEnable(ctx); return err },
		"AuthDisable":        func() error { _, err := c.AuthDisable(ctx); return err },
		"UserAdd":            func() error { _, err := c.UserAdd(ctx, "a", "b"); return err },
		"UserAddWithOptions": func() error {
			_, err := c.UserAddWithOptions(ctx, "a", "", &clientv3.UserAddOptions{NoPassword: true})
			return err
		},
		"UserGet":            func() error { _, err := c.UserGet(ctx, "a"); return err },
		"UserList":           func() error { _, err := c.UserList(ctx); return err },
		"UserDelete":         func() error { _, err := c.UserDelete(ctx, "a"); return err },
		"UserGrantRole":      func() error { _, err := c.UserGrantRole(ctx, "a", "b"); return err },
		"UserRevokeRole":     func() error { _, err := c.UserRevokeRole(ctx, "a", "b"); return err },
		"UserChangePassword": func() error { _, err := c.UserChangePassword(ctx, "a", "b"); return err },
		"RoleAdd":            func() error { _, err := c.RoleAdd(ctx, "a"); return err },
		"RoleGet":            func() error { _, err := c.RoleGet(ctx, "a"); return err },
		"RoleList":           func() error { _, err := c.RoleList(ctx); return err },
		"RoleDelete":         func() error { _, err := c.RoleDelete(ctx, "a"); return err },
		"RoleGrantPermission": func() error {
			_, err := c.RoleGrantPermission(ctx, "a", "k", "", clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		"RoleRevokePermission": func() error { _, err := c.RoleRevokePermission(ctx, "a", "k", ""); return err },
	}
}

// E1, E3: every call, in virtual time and with no server at all.
func TestE3_no_call_blocks_without_a_deadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{
			Endpoints: []string{"unix:///nowhere/etcd.sock"}, Username: "app", Password: password, Startup: fxetcd.Skip, RequestTimeout: 2 * time.Second,
		}, fxetcd.WithLogger(zap.NewNop()))
		require.NoError(t, err)
		ctx := context.Background()
		calls := everyCall(ctx, c)
		// What lasts as long as its context has no deadline, and is documented to have none.
		lasting := []string{"KeepAlive", "GetStream", "Snapshot", "SnapshotWithVersion", "Defragment", "Close"}
		for _, part := range []reflect.Type{
			reflect.TypeFor[clientv3.KV](), reflect.TypeFor[clientv3.Lease](), reflect.TypeFor[clientv3.Cluster](),
			reflect.TypeFor[clientv3.Auth](), reflect.TypeFor[clientv3.Maintenance](),
		} {
			for m := range part.Methods() {
				assert.True(t, calls[m.Name] != nil || slices.Contains(lasting, m.Name), "%v's %s is not bounded, or not tested", part, m.Name)
			}
		}
		// In these parts etcd's client has forgotten the cause by the time that we see the error.
		forgetful := []string{"KeepAliveOnce", "AlarmList", "AlarmDisarm", "Status", "HashKV", "MoveLeader", "Downgrade"}
		for name, call := range calls {
			began := time.Now()
			err := call()
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			assert.Equal(t, 2*time.Second, time.Since(began), name)
			assert.ErrorContains(t, err, "no answer within requestTimeout 2s: context deadline exceeded", name)
			if !slices.Contains(forgetful, name) {
				assert.ErrorContains(t, err, "exceeded: no connection: Error while dialing: dial unix /nowhere/etcd.sock: connect: no such file or directory", name)
			}
		}

		// A deadline of the caller's own counts, later or sooner, and the error has its cause all the same.
		for _, timeout := range []time.Duration{time.Second, 10 * time.Second} {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			began := time.Now()
			_, err := c.Put(ctx, "k", "v")
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, timeout, time.Since(began))
			assert.NotContains(t, err.Error(), "requestTimeout")
			assert.ErrorContains(t, err, "no such file or directory")
		}

		// So does a cancellation.
		cancelled, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Second, cancel)
		_, err = c.Put(cancelled, "k", "v")
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, c.Close())
	})
}

// E1: what ended one call is not there for the next one's.
func TestE1_requestTimeout_begins_with_each_call(t *testing.T) {
	t.Parallel()
	proxy := etcdtest.StartProxy(t, etcdtest.Start(t).Endpoints()[0])
	c := connect(t, fxetcd.Config{Endpoints: []string{proxy.Endpoint()}, RequestTimeout: time.Second})
	for range 3 {
		var calls sync.WaitGroup
		for range 16 {
			calls.Go(func() {
				assert.Eventually(t, func() bool {
					_, err := c.Put(context.Background(), "k", "v")
					return err == nil
				}, plenty, time.Millisecond)
			})
		}
		calls.Wait()
		proxy.Drop()
		began := time.Now()
		_, err := c.Put(context.Background(), "k", "v")
		require.ErrorContains(t, err, "no answer within requestTimeout 1s: context deadline exceeded")
		assert.GreaterOrEqual(t, time.Since(began), time.Second)
		proxy.Heal()
	}
}

func TestE1_a_negative_requestTimeout_is_none(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{
			Endpoints: []string{"unix:///nowhere/etcd.sock"}, Startup: fxetcd.Skip, RequestTimeout: -1,
		}, fxetcd.WithLogger(zap.NewNop()))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		began := time.Now()
		_, err = c.Put(ctx, "k", "v")
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Hour, time.Since(began))
		require.NoError(t, c.Close())
	})
}

// E1
func TestE1_requireLeader_has_a_member_without_a_leader_refuse(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	all := connect(t, fxetcd.Config{Endpoints: cluster.Endpoints()})
	alone := connect(t, fxetcd.Config{Endpoints: cluster.Endpoints()[:1]})
	patient := connect(t, fxetcd.Config{Endpoints: cluster.Endpoints()[:1], RequireLeader: new(false)})
	ctx := within(t, plenty)
	watching := alone.Watch(ctx, "k", clientv3.WithCreatedNotify())
	require.True(t, (<-watching).Created)

	cluster.Partition(0)
	gone := <-watching
	require.ErrorIs(t, gone.Err(), rpctypes.ErrNoLeader)
	_, err := alone.Put(ctx, "k", "v")
	require.ErrorIs(t, err, rpctypes.ErrNoLeader)
	for range 20 { // the endpoints take turns
		_, err = all.Get(ctx, "k")
		require.NoError(t, err, "a read goes on at another member")
	}
	status, err := alone.Status(ctx, cluster.Endpoints()[0])
	require.NoError(t, err, "the member can still be asked how it is")
	assert.Zero(t, status.Leader)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err = patient.Get(short, "k")
	require.ErrorIs(t, err, context.DeadlineExceeded, "without it the call waits")
	_, err = patient.Put(clientv3.WithRequireLeader(context.Background()), "k", "v")
	require.ErrorIs(t, err, rpctypes.ErrNoLeader, "unless the caller's context asks for it")
	_, err = fxetcd.NewClient(ctx, fxetcd.Config{Endpoints: cluster.Endpoints()[:1], RequireLeader: new(false), DialTimeout: time.Second})
	require.ErrorContains(t, err, "reached, but it did not answer: it is overloaded, or its cluster has no leader")
	_, err = patient.Get(ctx, "k", clientv3.WithSerializable())
	require.NoError(t, err, "and a read that need not be of now is answered")
}
