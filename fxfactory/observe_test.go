package fxfactory_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxfactory"
)

func TestStats_count_what_there_is_and_what_was(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{
			onCreate: func(_ context.Context, name string, _ config) error {
				switch name {
				case "slow":
					time.Sleep(time.Hour)
				case "low":
					return errDown
				case "panics":
					panic("boom")
				}
				return nil
			},
			onStart:   failing("unwell"),
			onDestroy: failing("b"),
		}
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: these("a", "b", "low"), Priorities: priorities{"low": fxfactory.Low}},
			fxfactory.RetireAfter(time.Minute), quiet)
		require.NoError(t, err)
		assert.Equal(t, fxfactory.Stats{Instances: 2, Out: 1, Created: 2, CreateFailed: 1}, f.Stats())
		require.NoError(t, f.Start(t.Context()))
		_, _, err = f.Open(t.Context(), nil)
		require.NoError(t, err)
		_, err = f.Replace(t.Context(), "a", nil)
		require.NoError(t, err)
		require.ErrorIs(t, f.Remove(t.Context(), "b"), errDown)
		for _, name := range []string{"unwell", "panics"} {
			_, err = f.Create(t.Context(), name, nil)
			require.Error(t, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go f.Create(ctx, "slow", nil) //nolint:errcheck // cancelled
		synctest.Wait()
		assert.Equal(t, fxfactory.Stats{
			Instances: 1, Out: 1, Building: 1, Opened: 1, Retiring: 1,
			Created: 5, CreateFailed: 2, Started: 4, StartFailed: 1, Destroyed: 1, DestroyFailed: 1,
		}, f.Stats())
		cancel()
		time.Sleep(2 * time.Hour)
		require.NoError(t, f.Stop(t.Context()))
		s := f.Stats()
		assert.Equal(t, s.Created, s.Destroyed+s.DestroyFailed)
		assert.Zero(t, s.Instances+s.Out+s.Building+s.Opened+s.Retiring)
		a.balanced(t)
	})
}

func TestModule_makes_its_factory_observable(t *testing.T) {
	t.Parallel()
	type secret struct {
		Password fxconfig.Secret `yaml:"password"`
	}
	var got struct {
		fx.In

		All []fxfactory.Observed `group:"fxfactory.factories"`
	}
	a := &account{}
	app := fxtest.New(t, fx.NopLogger, yaml("http: {client: {url: x}}\nsafe: {clients: {a: {password: hunter2}}}"), httpModule(a),
		fxfactory.Module[int, secret]("safe", func() fxfactory.Spec[int, secret] {
			return fxfactory.Spec[int, secret]{Create: func(context.Context, string, secret) (int, error) { return 1, nil }}
		}),
		fx.Populate(&got))
	app.RequireStart()
	require.Len(t, got.All, 2)
	for _, f := range got.All {
		if f.Name() == "safe" {
			cfg, origin, err := f.Describe("a")
			require.NoError(t, err)
			assert.Equal(t, "config.yaml:2:18", origin)
			assert.NotContains(t, fmt.Sprintf("%+v", cfg), "hunter2", "G8")
		}
		_, _, err := f.Describe("unknown")
		require.ErrorIs(t, err, fxfactory.ErrNotFound)
		assert.Equal(t, 1, f.Stats().Instances)
	}
	app.RequireStop()
}

func TestNew_has_no_origin_to_describe(t *testing.T) {
	t.Parallel()
	f := newFactory(t, &account{}, settings{Clients: these("a")})
	cfg, origin, err := f.Describe("a")
	require.NoError(t, err)
	assert.Empty(t, origin)
	assert.Equal(t, config{URL: "a"}, cfg)
}
