package registry_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

func TestE8_what_may_still_be_listed_is_not_said_to_be_gone(t *testing.T) {
	t.Parallel()
	type operation = func(*registry.Registration, context.Context) error
	for name, leave := range map[string]struct {
		operation operation
		state     registry.State
	}{
		"Deregister": {(*registry.Registration).Deregister, registry.Deregistered},
		"Offline":    {(*registry.Registration).Offline, registry.Offline},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := etcdtest.StartProcess(t)
			withUsers(t, server.Client(t), "services/order/", "services/billing/")
			root, _ := newClient(t, server.Endpoints(), as("root", "r"))
			c, _ := newClient(t, server.Endpoints(), as("app", "x"))
			r := newRegistry(t, c, registry.Config{})
			g := register(t, r, order("a"))
			register(t, r, registry.Instance{Service: "billing", ID: "a", Address: "10.0.0.1:80"})
			_, err := root.UserRevokeRole(t.Context(), "app", "services/order/")
			require.NoError(t, err)

			changed := order("a")
			changed.Address = "10.0.0.2:80"
			_, err = r.Register(t.Context(), changed)
			require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
			require.ErrorIs(t, leave.operation(g, t.Context()), rpctypes.ErrPermissionDenied)
			assert.Equal(t, registry.Pending, g.State())
			require.ErrorIs(t, g.Err(), rpctypes.ErrPermissionDenied)
			assert.Contains(t, raw(t, root), "services/order/a")

			_, err = root.UserGrantRole(t.Context(), "app", "services/order/")
			require.NoError(t, err)
			eventually(t, func() bool { return g.State() == leave.state }, "it is gone when it may")
			assert.Equal(t, []string{"services/billing/a"}, keysOf(raw(t, root)))
		})
	}
}

// E8: a server without space grants no lease, but deletes.
func TestE8_while_no_lease_can_be_granted_instances_leave_the_list_and_Register_says_why(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t, etcdtest.WithQuota(2<<20))
	admin := server.Client(t)
	c, n := newClient(t, server.Endpoints())
	r := newRegistry(t, c, registry.Config{TTL: 2 * time.Second})
	a := register(t, r, order("a"))
	b := register(t, r, order("b"))
	fill(t, admin)
	grants := n.count(grantMethod)
	_, err := admin.Revoke(t.Context(), leaseOf(t, admin, "services/order/a"))
	require.NoError(t, err)
	eventually(t, func() bool { return n.count(grantMethod) > grants }, "a lease is asked for")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, a.Offline(ctx))
	assert.Equal(t, registry.Offline, a.State())
	eventually(t, func() bool { return b.State() == registry.Pending && b.Err() != nil }, "the other one waits")
	require.ErrorIs(t, b.Err(), rpctypes.ErrNoSpace)

	_, err = r.Register(briefly(t), order("c"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	require.NoError(t, r.Leave(t.Context()))
}
