package fxetcd_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

// guarded is a server with users, and a service of user "app" on it. The service's admin is root.
func guarded(t *testing.T, opts ...etcdtest.Option) (*etcdtest.Process, *service) {
	t.Helper()
	server := etcdtest.StartProcess(t, opts...)
	enableAuth(t, server.Client(t))
	root := connect(t, fxetcd.Config{Endpoints: server.Endpoints(), Username: "root", Password: "root", DialTimeout: plenty})
	return server, serve(t, root, "endpoints: %q, username: app, password: "+password, server.Endpoints()[0])
}

// E12: the role is revoked, and granted again. Calls are refused at once; a watch that is open is not, which is etcd's own doing.
func TestE12_a_revoked_role_refuses_calls_until_it_is_granted_again(t *testing.T) {
	t.Parallel()
	_, s := guarded(t)
	short := s.kept(t, 2)
	_, err := s.client.Put(within(t, plenty), "app/short", "", clientv3.WithLease(short.Lease()))
	require.NoError(t, err)

	_, err = s.admin.UserRevokeRole(within(t, plenty), "app", "app")
	require.NoError(t, err)
	_, err = s.client.Get(within(t, plenty), "app/k")
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	_, err = s.client.Put(within(t, plenty), "app/k", "v")
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	require.NoError(t, s.check(t, plenty), "who may not read has been answered")
	s.hears(t)
	select {
	case <-short.Done():
	case <-within(t, plenty).Done():
		require.Fail(t, "a lease of keys that may not be written is not kept")
	}
	leader := s.reign.Load()
	select {
	case <-leader.Done():
		require.ErrorIs(t, context.Cause(leader), exclusive.ErrLost)
	case <-within(t, plenty).Done():
		require.Fail(t, "nor is the lead")
	}

	_, err = s.admin.UserGrantRole(within(t, plenty), "app", "app")
	require.NoError(t, err)
	_, err = s.client.Put(within(t, plenty), "app/k", "v")
	require.NoError(t, err, "at once, too")
	s.recovers(t)
}

// E12: the password is changed under a running client, and changed back.
func TestE12_a_changed_password_is_named_and_needs_no_restart_once_it_is_right(t *testing.T) {
	t.Parallel()
	server, s := guarded(t)
	_, err := s.admin.UserChangePassword(within(t, plenty), "app", "another")
	require.NoError(t, err)
	for range 3 {
		_, err = s.client.Get(within(t, plenty), "app/k")
		require.ErrorIs(t, err, rpctypes.ErrAuthFailed)
		assert.NotContains(t, err.Error(), password)
	}
	err = s.check(t, plenty)
	require.ErrorIs(t, err, rpctypes.ErrAuthFailed)
	assert.ErrorContains(t, err, `wrong user or password for user "app"`)
	assert.NotContains(t, err.Error(), password)
	connect(t, fxetcd.Config{Endpoints: server.Endpoints(), Username: "app", Password: "another", DialTimeout: plenty})
	s.unshaken(t)

	_, err = s.admin.UserChangePassword(within(t, plenty), "app", password)
	require.NoError(t, err)
	s.recovers(t)
}

// E12: tokens expire. A client with a password fetches another, and nobody notices; one that was given a token can only say so.
func TestE12_an_expired_token_is_renewed_where_there_is_a_password(t *testing.T) {
	t.Parallel()
	server, s := guarded(t, etcdtest.WithTokenTTL(time.Second))
	_, err := s.client.Get(within(t, plenty), "app/k")
	require.NoError(t, err)
	given, err := s.admin.Authenticate(within(t, plenty), "app", password)
	require.NoError(t, err)
	dated := connect(t, fxetcd.Config{Endpoints: server.Endpoints(), Token: fxconfig.Secret(given.Token), DialTimeout: plenty})

	// Each use prolongs a token: the tries are further apart than it can last. The service's, used before this one's, is then expired too.
	require.Eventually(t, func() bool {
		_, err = dated.Get(within(t, plenty), "app/k")
		return err != nil
	}, ttl, 2100*time.Millisecond)
	require.ErrorIs(t, err, rpctypes.ErrInvalidAuthToken)
	_, err = s.client.Put(within(t, plenty), "app/k", "v")
	require.NoError(t, err)
	s.recovers(t)
	s.unshaken(t)

	_, err = fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: server.Endpoints(), Token: fxconfig.Secret(given.Token), DialTimeout: plenty})
	require.ErrorIs(t, err, rpctypes.ErrInvalidAuthToken)
	assert.ErrorContains(t, err, "the server does not accept the token")
	assert.NotContains(t, err.Error(), given.Token)

	server.Restart() // which forgets every token
	_, err = s.client.Get(within(t, plenty), "app/k")
	require.NoError(t, err)
	s.recovers(t)
}
