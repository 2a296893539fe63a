package fxscope_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/fxscope"
)

var (
	region = fxqualifier.NewAttribute[string]("region")
	tier   = fxqualifier.NewAttribute[int]("tier")
	kind   = fxqualifier.NewAttribute[string]("kind")
	life   = fxqualifier.NewAttribute[string]("life")
)

type hello interface{ Count() int }

type counter struct{ n int }

func (c *counter) Count() int {
	defer func() { c.n++ }()
	return c.n
}

func newCounter() *counter { return &counter{} }

// One Set over singletons and scoped members: each scope has its own of the latter, and all share the former.
func TestQ7_one_set_of_singletons_and_scoped_members(t *testing.T) {
	t.Parallel()
	var set *fxqualifier.Set[hello]
	scopes := begin(t,
		fxqualifier.Collect[hello](),
		fxqualifier.Provide[hello](newCounter, kind.Of("foo"), life.Of("singleton")),
		fxscope.ProvideQualified[hello](newCounter, kind.Of("foo"), life.Of("context")),
		fxqualifier.Provide[hello](newCounter, kind.Of("bar"), life.Of("singleton")),
		fxscope.ProvideQualified[hello](newCounter, kind.Of("bar"), life.Of("context")),
		fx.Populate(&set),
	)
	for round := range 2 {
		ctx, sc := scopes.Begin(t.Context())
		for range 2 {
			// Twice in each scope: it is the scope's object that counts on.
			_, err := set.Get(ctx, kind.Of("foo"), life.Of("context"))
			require.NoError(t, err)
		}
		var singletons, contexts []int
		for h, err := range set.All(ctx, life.Of("singleton")) {
			require.NoError(t, err)
			singletons = append(singletons, h.Count())
		}
		for h, err := range set.All(ctx, life.Of("context")) {
			require.NoError(t, err)
			contexts = append(contexts, h.Count())
		}
		assert.Equal(t, []int{round, round}, singletons)
		assert.Equal(t, []int{0, 0}, contexts)
		require.NoError(t, sc.End(ctx))
	}
}

func TestQ7_members_behind_a_break_are_not_built(t *testing.T) {
	t.Parallel()
	var built atomic.Int64
	count := func() *counter { built.Add(1); return newCounter() }
	var set *fxqualifier.Set[hello]
	scopes := begin(t,
		fxscope.ProvideQualified[hello](count, kind.Of("a")),
		fxscope.ProvideQualified[hello](count, kind.Of("b")),
		fxqualifier.Collect[hello](),
		fx.Populate(&set),
	)
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		for _, err := range set.All(ctx) {
			assert.NoError(t, err)
			break
		}
		return nil
	}))
	assert.EqualValues(t, 1, built.Load())

	_, err := set.Get(t.Context(), kind.Of("a"))
	assert.ErrorIs(t, err, fxscope.ErrNoScope)
	assert.ErrorContains(t, err, "fxscope: get fxscope_test.hello[name=\"kind=a\"]: the context has no scope")
}

// A scoped constructor may take the Set that it is a member of.
func TestQ7_a_scoped_constructor_takes_the_set(t *testing.T) {
	t.Parallel()
	type chooser struct{ set *fxqualifier.Set[hello] }
	scopes := begin(t,
		fxqualifier.Collect[hello](),
		fxscope.ProvideQualified[hello](newCounter, kind.Of("a")),
		fxscope.Provide(func(set *fxqualifier.Set[hello]) *chooser { return &chooser{set} }),
	)
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		c, err := fxscope.Get[*chooser](ctx)
		require.NoError(t, err)
		viaSet, err := c.set.Get(ctx, kind.Of("a"))
		require.NoError(t, err)
		direct, err := fxscope.Get[hello](ctx, kind.Of("a"))
		assert.Same(t, viaSet, direct)
		return err
	}))
}

func TestProvideQualified_by_name_and_by_qualifiers(t *testing.T) {
	t.Parallel()
	type params struct {
		fx.In
		EU   hello `name:"region=eu"`
		Both hello `name:"region=eu,tier=1"`
	}
	type pair struct{ eu, both hello }
	scopes := begin(t,
		fxscope.ProvideQualified[hello](newCounter, region.Of("eu")),
		fxscope.ProvideQualified[hello](newCounter, tier.Of(1), region.Of("eu")),
		fxscope.ProvideQualified[hello](newCounter, tier.Of(2), region.Of("eu")),
		fxscope.ProvideQualified[*counter](func() (*counter, error) { return newCounter(), nil }),
		fxscope.Provide(func(p params) *pair { return &pair{p.EU, p.Both} }),
	)
	ctx, sc := scopes.Begin(t.Context())
	p, err := fxscope.Get[*pair](ctx)
	require.NoError(t, err)
	assert.NotSame(t, p.eu, p.both)
	eu, err := fxscope.Get[hello](ctx, region.Of("eu"))
	require.NoError(t, err)
	assert.Same(t, p.eu, eu)
	for _, qs := range [][]fxqualifier.Qualifier{{region.Of("eu"), tier.Of(1)}, {tier.Of(1), region.Of("eu")}} {
		both, err := fxscope.Get[hello](ctx, qs...)
		require.NoError(t, err)
		assert.Same(t, p.both, both)
	}
	_, err = fxscope.Get[*counter](ctx)
	assert.NoError(t, err, "no qualifiers: the plain type")

	_, err = fxscope.Get[hello](ctx, region.Of("us"))
	require.ErrorIs(t, err, fxscope.ErrNotProvided)
	assert.ErrorContains(t, err, `fxscope: get fxscope_test.hello[name="region=us"]: not provided in the scope: there is fxscope_test.hello[name="region=eu"] from `)
	assert.ErrorContains(t, err, "newCounter (")
	_, err = fxscope.Get[hello](ctx, fxqualifier.NewAttribute[string]("tier").Of("1"), region.Of("eu"))
	assert.ErrorIs(t, err, fxscope.ErrNotProvided, "1 is not \"1\"")
	require.NoError(t, sc.End(ctx))
}

func TestProvideQualified_refuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opt  fx.Option
		want string
	}{
		{"what does not implement the type", fxscope.ProvideQualified[hello](func() *db { return nil }, kind.Of("a")), "must return fxscope_test.hello, or what implements it"},
		{"several results", fxscope.ProvideQualified[*counter](func() (*counter, *db) { return nil, nil }), "must return *fxscope_test.counter"},
		{"what is no function", fxscope.ProvideQualified[*counter](3), "int (not a function)"},
		{"what every scope has", fxscope.ProvideQualified[context.Context](func() context.Context { return nil }), "every scope has"},
		{"an attribute twice", fxscope.ProvideQualified[hello](newCounter, kind.Of("a"), kind.Of("b")), `): attribute "kind" is given twice: [kind=a kind=b]`},
		{"an attribute without a name", fxscope.ProvideQualified[hello](newCounter, fxqualifier.Qualifier{}), `): a qualifier has no attribute`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.ErrorContains(t, planError(t, tt.opt), tt.want)
		})
	}
}
