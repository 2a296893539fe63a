package fxlifecycle_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxlifecycle"
)

// L2, L5: the one exception to the reverse order of the dependencies, and only in phase one.
func TestL2_what_stops_first_is_drained_before_what_depends_on_it(t *testing.T) {
	t.Parallel()
	var order []string
	manage := func(lc fx.Lifecycle, name string, opts ...fxlifecycle.Option) {
		said := func(hook string) func(context.Context) error {
			return func(context.Context) error {
				order = append(order, hook+" "+name)
				return nil
			}
		}
		_, err := fxlifecycle.Manage(lc, name, append(opts, fxlifecycle.WithHooks(fxlifecycle.Hooks{
			PreDestroy: said("drain"), Destroy: said("destroy"),
		}))...)
		assert.NoError(t, err)
	}
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Invoke(func(lc fx.Lifecycle) {
		manage(lc, "registry", fxlifecycle.StopsFirst())
		manage(lc, "store")
		manage(lc, "another", fxlifecycle.StopsFirst())
		manage(lc, "server")
	}))
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	assert.Equal(t, []string{
		"drain another", "drain registry", "drain server", "drain store",
		"destroy server", "destroy another", "destroy store", "destroy registry",
	}, order)
	assert.Equal(t, "fxlifecycle.StopsFirst()", fxlifecycle.StopsFirst().String())
}
