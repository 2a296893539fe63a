package fxscope_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxscope"
)

func TestS3_a_singleton_cannot_take_a_scoped_object(t *testing.T) {
	t.Parallel()
	err := planError(t, fxscope.Provide(newGamma), fx.Provide(newBeta), fx.Invoke(func(*beta) {}))
	assert.ErrorContains(t, err, "missing type: *fxscope_test.gamma")
}

func TestS3_Get_of_a_singleton_says_to_take_it(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fx.Provide(newGamma), fxscope.Provide(newBeta))
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		_, err := fxscope.Get[*gamma](ctx)
		assert.ErrorIs(t, err, fxscope.ErrNotProvided)
		assert.ErrorContains(t, err, "it is a singleton, from github.com/fxkit/fxkit/fxscope_test.newGamma: take it as a parameter of the constructor")
		return nil
	}))
}

func TestS4_singleton_and_scoped(t *testing.T) {
	t.Parallel()
	both := fx.Options(
		fx.Supply(&db{"singleton"}),
		fxscope.Provide(func() *db { return &db{"request"} }),
	)
	err := planError(t, both, fxscope.Provide(newGammaOfClient))
	assert.Regexp(t, `\*fxscope_test\.db, wanted by `+place("newGammaOfClient")+` as parameter 1, is ambiguous: it is a singleton.* and has one for each scope from .*\S+:\d+\): say which in an fx.In, with the tag scope:"singleton" or scope:"request"`, err.Error())

	err = planError(t, fx.Supply(&db{}), fxscope.Value[*db](), fxscope.Provide(newGammaOfClient))
	assert.ErrorContains(t, err, "is ambiguous", "a Value is scoped")

	type params struct {
		fx.In
		One  *db `scope:"singleton"`
		Each *db `scope:"request"`
	}
	type pair struct{ one, each string }
	scopes := begin(t, both, fxscope.Provide(func(p params) pair { return pair{p.One.dsn, p.Each.dsn} }))
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		p, err := fxscope.Get[pair](ctx)
		assert.Equal(t, pair{"singleton", "request"}, p)
		return err
	}))

	type onlyRequest struct {
		fx.In
		DB *db `scope:"request"`
	}
	begin(t, fx.Provide(func() *db { panic("asked for the request's alone") }),
		fxscope.Provide(func() *db { return nil }, func(onlyRequest) *gamma { return nil }))

	err = planError(t, fx.Supply(&db{}), fxscope.Provide(func(onlyRequest) *gamma { return nil }))
	assert.ErrorContains(t, err, "not provided, by a scoped constructor")
	type onlySingleton struct {
		fx.In
		DB *db `scope:"singleton"`
	}
	err = planError(t, fxscope.Provide(func() *db { return nil }, func(onlySingleton) *gamma { return nil }))
	assert.ErrorContains(t, err, "not provided, as a singleton, by Fx")
}

// The one thing that cannot be had: what scoped objects use cannot itself begin scopes.
func TestS3_a_singleton_of_scoped_constructors_cannot_take_Scopes(t *testing.T) {
	t.Parallel()
	err := planError(t, fx.Provide(func(*fxscope.Scopes) *db { return &db{} }), fxscope.Provide(newGammaOfClient))
	assert.ErrorContains(t, err, "cycle detected in dependency graph")
	assert.Regexp(t, `newGammaOfClient \(\S+plan_test\.go:\d+\)`, err.Error(), "Fx names the scoped constructor that closes it")
}
