package exclusive_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
	"github.com/fxkit/fxkit/fxlifecycle"
)

func TestModule_resigns_at_stop(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	client := connect(t, server.Endpoints()...)
	var x *exclusive.Exclusive
	app := fxtest.New(t,
		fxlifecycle.Coordinate(),
		fxconfig.From(fxconfig.Text("config.yaml", "etcd: {exclusive: {ttl: 60s, namespace: mine}}")),
		fx.Supply(client),
		exclusive.Module,
		fx.Populate(&x),
		fx.NopLogger,
	)
	app.RequireStart()
	reigns := make(chan reign)
	done := campaign(context.Background(), x, "ada", reigns)
	<-reigns
	got, err := client.Get(t.Context(), "mine/lead/job/", clientv3.WithPrefix())
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1)
	app.RequireStop()
	assert.NoError(t, <-done)
	got, err = client.Get(t.Context(), "", clientv3.WithPrefix())
	require.NoError(t, err)
	assert.Empty(t, got.Kvs)
}

func TestModule_refuses_bad_configuration_with_its_place(t *testing.T) {
	t.Parallel()
	app := fx.New(
		fxconfig.From(fxconfig.Text("config.yaml", "etcd:\n  exclusive: {ttl: 1s, namespace: /}")),
		fx.Supply(&clientv3.Client{}),
		exclusive.Module,
		fx.Invoke(func(*exclusive.Exclusive) {}),
		fx.NopLogger,
	)
	assert.ErrorContains(t, app.Err(), "config.yaml:2:15: etcd.exclusive.ttl: 1s: etcd's leases last whole seconds, and at least 2s")
	assert.ErrorContains(t, app.Err(), `config.yaml:2:24: etcd.exclusive.namespace: "/" has no name: want one such as "exclusive"`)
}
