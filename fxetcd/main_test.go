package fxetcd_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plenty is for what takes milliseconds, on a machine that is busy.
const plenty = 15 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func yaml(text string) fx.Option { return fxconfig.From(fxconfig.Text("config.yaml", text)) }

// start runs an application until the test ends.
func start(t *testing.T, opts ...fx.Option) {
	t.Helper()
	app := fxtest.New(t, fx.NopLogger, fx.Options(opts...))
	app.RequireStart()
	t.Cleanup(app.RequireStop)
}

func connect(t *testing.T, cfg fxetcd.Config, opts ...fxetcd.Option) *clientv3.Client {
	t.Helper()
	c, err := fxetcd.NewClient(within(t, plenty), cfg, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}
