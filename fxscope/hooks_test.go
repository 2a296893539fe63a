package fxscope_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxscope"
)

func TestS6_the_order_of_hooks(t *testing.T) {
	t.Parallel()
	l := newLedger()
	scopes := begin(t, fxscope.Provide(
		func(*middle) *top { return &top{l.account(t, "top")} },
		func(b *bottom) *middle {
			assert.Contains(t, l.read(), "bottom.Init", "it is complete before it is handed out")
			return &middle{l.account(t, "middle")}
		},
		func() *bottom { return &bottom{l.account(t, "bottom")} },
	))
	ctx, sc := scopes.Begin(t.Context())
	require.NoError(t, get[*top](ctx))
	require.NoError(t, sc.End(ctx))
	assert.Equal(t, []string{
		"bottom.PostConstruct", "bottom.PreInject", "bottom.PostInject", "bottom.Init",
		"middle.PostConstruct", "middle.PreInject", "middle.PostInject", "middle.Init",
		"top.PostConstruct", "top.PreInject", "top.PostInject", "top.Init",
		"top.PreDestroy", "middle.PreDestroy", "bottom.PreDestroy",
		"top.Destroy", "middle.Destroy", "bottom.Destroy",
	}, l.read())
	l.balanced(t)
}

func TestS6_all_errors_are_joined_and_none_stops_the_rest(t *testing.T) {
	t.Parallel()
	l := newLedger()
	failing := func(name, hook string, boom bool) *account {
		a := l.account(t, name)
		a.fail, a.err, a.boom = hook, errors.New(name+" failed"), boom
		return a
	}
	scopes := begin(t, fxscope.Provide(
		func(*middle) *top { return &top{failing("top", "PreDestroy", false)} },
		func(*bottom) *middle { return &middle{failing("middle", "Destroy", true)} },
		func() *bottom { return &bottom{failing("bottom", "Destroy", false)} },
	))
	ctx, sc := scopes.Begin(t.Context())
	require.NoError(t, get[*top](ctx))
	err := sc.End(ctx)
	for _, want := range []string{
		"fxscope: end scope " + sc.ID() + ": ", "PreDestroy of *fxscope_test.top from github.com/", "hooks_test.go:", "top failed",
		"Destroy of *fxscope_test.middle", "panic: middle failed", "Destroy of *fxscope_test.bottom", "bottom failed",
	} {
		assert.ErrorContains(t, err, want)
	}
	l.balanced(t)
}

func TestS6_aliases_have_no_hooks(t *testing.T) {
	t.Parallel()
	l := newLedger()
	singleton := &bottom{l.account(t, "singleton")}
	member := &middle{l.account(t, "member")}
	type params struct {
		fx.In
		Members []*middle `group:"members"`
	}
	scopes := begin(t,
		fx.Supply(singleton, fx.Annotated{Group: "members", Target: member}),
		fxscope.Value[*exits](),
		fxscope.Provide(
			func(b *bottom) destroyerA { return b },                                           // a singleton by its interface
			func(p params) *middle { return p.Members[0] },                                    // a singleton out of a group
			func() *top { return &top{l.account(t, "top")} },                                  // its own
			func(t *top) destroyerB { return t },                                              // another scoped object
			func(ctx context.Context) (destroyerC, error) { return fxscope.Get[*top](ctx) },   // the same, got at run time
			func(ctx context.Context) (destroyerD, error) { return fxscope.Get[*exits](ctx) }, // a Value
			func() (*leaf, destroyerE) { o := &leaf{l.account(t, "leaf")}; return o, o },      // one object as two results
		),
	)
	ctx, sc := scopes.Begin(t.Context(), fxscope.With(&exits{l.account(t, "value")}))
	require.NoError(t, errors.Join(get[destroyerA](ctx), get[*middle](ctx), get[destroyerB](ctx), get[destroyerC](ctx), get[destroyerD](ctx), get[destroyerE](ctx), get[*leaf](ctx)))
	require.NoError(t, sc.End(ctx))
	assert.Equal(t, []string{
		"top.PostConstruct", "top.PreInject", "top.PostInject", "top.Init",
		"leaf.PostConstruct", "leaf.PreInject", "leaf.PostInject", "leaf.Init",
		"leaf.PreDestroy", "top.PreDestroy", "leaf.Destroy", "top.Destroy",
	}, l.read())
}

type (
	destroyer  interface{ Destroy(context.Context) error }
	destroyerA interface{ destroyer }
	destroyerB interface{ destroyer }
	destroyerC interface{ destroyer }
	destroyerD interface{ destroyer }
	destroyerE interface{ destroyer }
	leaf       struct{ *account }
)

// Two objects of no size may have one address: they are still two.
func TestS6_objects_of_no_size_are_no_aliases(t *testing.T) {
	t.Parallel()
	destroyed.Store(0)
	scopes := begin(t,
		fxscope.ProvideQualified[destroyer](func() *empty { return &empty{} }, kind.Of("a")),
		fxscope.ProvideQualified[destroyer](func() *empty { return &empty{} }, kind.Of("b")),
		fxscope.ProvideQualified[destroyer](func() (*empty, error) { return nil, nil }, kind.Of("nil")),
		fxscope.Provide(func() destroyer { return nil }),
	)
	ctx, sc := scopes.Begin(t.Context())
	for _, k := range []string{"a", "b", "nil"} {
		_, err := fxscope.Get[destroyer](ctx, kind.Of(k))
		require.NoError(t, err)
	}
	none, err := fxscope.Get[destroyer](ctx)
	require.NoError(t, err)
	assert.Nil(t, none)
	require.NoError(t, sc.End(ctx))
	assert.EqualValues(t, 2, destroyed.Load(), "and a nil has no hooks")
}

type empty struct{}

var destroyed atomic.Int64 // an empty has nowhere to count

func (*empty) Destroy(context.Context) error { destroyed.Add(1); return nil }
