package fxetcd_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

func TestE3_what_a_server_refuses_is_told_with_instance_and_endpoints(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	enableAuth(t, server.Client(t))
	one, other := server.Endpoints()[0], etcdtest.StartProxy(t, server.Endpoints()[0]).Endpoint()

	app := fx.New(fx.NopLogger, fxetcd.Module, yaml(fmt.Sprintf(
		"etcd:\n  clients:\n    audit: {endpoints: [%q, %q], username: app, password: wrong, dialTimeout: %v}\n", one, other, plenty)))
	require.NoError(t, app.Err())
	err := app.Start(within(t, plenty))
	require.ErrorIs(t, err, rpctypes.ErrAuthFailed)
	assert.ErrorContains(t, err, fmt.Sprintf(`start etcd "audit" (config.yaml:3:5): %s, %s: wrong user or password for user "app"`, one, other))

	var f *fxetcd.Factory
	skipping := fxtest.New(t, fx.NopLogger, fxetcd.Module, fx.Populate(&f), yaml(fmt.Sprintf("etcd: {client: {endpoints: [%q, %q], startup: skip}}", one, other)))
	skipping.RequireStart()
	t.Cleanup(skipping.RequireStop)
	health := f.Check(within(t, plenty))
	require.Len(t, health, 1)
	require.ErrorIs(t, health[0].Err, rpctypes.ErrUserEmpty)
	assert.ErrorContains(t, health[0].Err, fmt.Sprintf("%s, %s: the server demands a user: set username and password", one, other))
}

// E1: etcd's client takes neither capitals in a scheme nor a final slash everywhere.
func TestE1_endpoints_are_handed_on_as_the_client_takes_them(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t).Endpoints()
	written := []string{"HTTP://" + server[0] + "/"}
	want := []string{"http://" + server[0]}
	assert.Equal(t, want, connect(t, fxetcd.Config{Endpoints: written}).Endpoints())
	assert.Equal(t, want, connect(t, fxetcd.Config{}, fxetcd.WithEndpointSource(sourceOf{written, func() {}})).Endpoints())
	assert.Equal(t, "HTTP://"+server[0]+"/", written[0], "a caller's list is not changed")
	socket := connect(t, fxetcd.Config{Endpoints: []string{"UNIX:///run/Etcd@a.sock"}, Startup: fxetcd.Skip})
	assert.Equal(t, []string{"unix:///run/Etcd@a.sock"}, socket.Endpoints())
}
