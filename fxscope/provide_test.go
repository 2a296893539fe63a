package fxscope_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxscope"
)

type (
	db      struct{ dsn string }
	session struct {
		db *db
		n  int64
	}
	orders struct{ session *session }
)

func TestS1_one_object_per_type_and_scope(t *testing.T) {
	t.Parallel()
	var built atomic.Int64
	scopes := begin(t,
		fx.Supply(&db{"main"}),
		fxscope.Provide(
			func(d *db) *session { return &session{d, built.Add(1)} },
			func(s *session) *orders { return &orders{s} },
		),
	)
	ctx, sc := scopes.Begin(t.Context())
	require.Zero(t, built.Load(), "nothing is built before it is asked for")

	o, err := fxscope.Get[*orders](ctx)
	require.NoError(t, err)
	s, err := fxscope.Get[*session](ctx)
	require.NoError(t, err)
	assert.Same(t, s, o.session)
	assert.Equal(t, "main", s.db.dsn, "a singleton is a dependency")

	other, sc2 := scopes.Begin(t.Context())
	s2, err := fxscope.Get[*session](other)
	require.NoError(t, err)
	assert.NotSame(t, s, s2)
	assert.EqualValues(t, 2, built.Load())
	assert.NoError(t, sc.End(ctx))
	assert.NoError(t, sc2.End(ctx))
}

func TestS1_what_is_not_asked_for_is_not_built(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Provide(
		func() *session { panic("nobody asked") },
		func() *orders { return &orders{} },
	))
	assert.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		_, err := fxscope.Get[*orders](ctx)
		return err
	}))
}

func TestS1_concurrent_gets_build_once(t *testing.T) {
	t.Parallel()
	var built atomic.Int64
	entered, release := make(chan struct{}), make(chan struct{})
	scopes := begin(t, fxscope.Provide(
		func() *session {
			if built.Add(1) == 1 {
				close(entered)
			}
			<-release
			return &session{}
		},
		func(s *session) *orders { return &orders{s} },
	))
	ctx, sc := scopes.Begin(t.Context())
	var all sync.WaitGroup
	got := make([]*session, 16)
	for i := range got {
		all.Go(func() {
			if i%2 == 0 {
				s, err := fxscope.Get[*session](ctx)
				assert.NoError(t, err)
				got[i] = s
				return
			}
			o, err := fxscope.Get[*orders](ctx)
			if assert.NoError(t, err) {
				got[i] = o.session
			}
		})
	}
	<-entered
	close(release)
	all.Wait()
	for _, s := range got {
		assert.Same(t, got[0], s)
	}
	assert.EqualValues(t, 1, built.Load())
	assert.NoError(t, sc.End(ctx))
}

type tenant string

type requestParams struct {
	fx.In
	Nested

	Main    *db          `name:"main"`
	All     []*db        `group:"dbs"`
	None    []*db        `group:"nobody"`
	Absent  *http.Client `optional:"true"`
	Session *session
	NoValue tenant `optional:"true"`
}

type Nested struct {
	fx.In
	Scope *fxscope.Scope
	Tasks *fxbackground.Group
}

type holder struct {
	p      requestParams
	scopes *fxscope.Scopes
	ctx    context.Context
	more   []string
}

func TestProvide_fills_what_a_constructor_takes(t *testing.T) {
	t.Parallel()
	scopes := begin(t,
		fxscope.Value[tenant](),
		fx.Provide(
			fx.Annotated{Name: "main", Target: func() *db { return &db{"main"} }},
			fx.Annotated{Group: "dbs", Target: func() *db { return &db{"one"} }},
			fx.Annotated{Group: "dbs", Target: func() *db { return &db{"two"} }},
		),
		fxscope.Provide(
			func() *session { return &session{n: 7} },
			func(ctx context.Context, p requestParams, s *fxscope.Scopes, more ...string) *holder {
				return &holder{p, s, ctx, more}
			},
		),
	)
	ctx, sc := scopes.Begin(t.Context())
	h, err := fxscope.Get[*holder](ctx)
	require.NoError(t, err)
	assert.Same(t, sc, h.p.Scope)
	assert.Same(t, sc.Tasks(), h.p.Tasks)
	assert.Same(t, scopes, h.scopes)
	assert.Equal(t, "main", h.p.Main.dsn)
	assert.ElementsMatch(t, []string{"one", "two"}, []string{h.p.All[0].dsn, h.p.All[1].dsn})
	assert.Empty(t, h.p.None)
	assert.Nil(t, h.p.Absent)
	assert.Empty(t, h.p.NoValue)
	assert.EqualValues(t, 7, h.p.Session.n)
	assert.Empty(t, h.more, "a variadic parameter gets nothing")
	in, ok := fxscope.From(h.ctx)
	assert.True(t, ok)
	assert.Same(t, sc, in)

	// What is filled in one scope is not seen in another.
	ctx2, sc2 := scopes.Begin(t.Context(), fxscope.With[tenant]("acme"))
	h2, err := fxscope.Get[*holder](ctx2)
	require.NoError(t, err)
	assert.Equal(t, tenant("acme"), h2.p.NoValue)
	assert.Same(t, sc2, h2.p.Scope)
	assert.Empty(t, h.p.NoValue)

	ctx3, sc3 := scopes.Begin(t.Context())
	h3, err := fxscope.Get[*holder](ctx3)
	require.NoError(t, err)
	assert.Empty(t, h3.p.NoValue, "nor in one that begins later")
	for _, sc := range []*fxscope.Scope{sc, sc2, sc3} {
		assert.NoError(t, sc.End(t.Context()))
	}
}

func TestProvide_ignores_unexported_fields_if_told_so(t *testing.T) {
	t.Parallel()
	type params struct {
		fx.In `ignore-unexported:"true"`
		DB    *db
		cache *session
	}
	scopes := begin(t, fx.Supply(&db{"x"}), fxscope.Provide(func(p params) *orders {
		return &orders{&session{db: p.DB, n: int64(len(p.DB.dsn))}}
	}))
	assert.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		o, err := fxscope.Get[*orders](ctx)
		assert.EqualValues(t, 1, o.session.n)
		return err
	}))
	_ = params{}.cache
}

func TestProvide_takes_constructors_of_several_results(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	l := newLedger()
	type first struct{ *account }
	type second struct{ *account }
	scopes := begin(t, fxscope.Provide(func() (*first, *second, error) {
		calls.Add(1)
		return &first{l.account(t, "first")}, &second{l.account(t, "second")}, nil
	}))
	ctx, sc := scopes.Begin(t.Context())
	_, err := fxscope.Get[*second](ctx)
	require.NoError(t, err)
	_, err = fxscope.Get[*first](ctx)
	require.NoError(t, err)
	assert.EqualValues(t, 1, calls.Load())
	require.NoError(t, sc.End(ctx))
	assert.Equal(t, []string{
		"first.PostConstruct", "first.PreInject", "first.PostInject", "first.Init",
		"second.PostConstruct", "second.PreInject", "second.PostInject", "second.Init",
		"second.PreDestroy", "first.PreDestroy", "second.Destroy", "first.Destroy",
	}, l.read())
	l.balanced(t)

	// S13: With stands in for one of them; the other needs the constructor all the same.
	l.clear()
	stand := &first{}
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		_, err := fxscope.Get[*second](ctx)
		assert.NoError(t, err)
		f, err := fxscope.Get[*first](ctx)
		assert.Same(t, stand, f)
		return err
	}, fxscope.With(stand)))
	assert.EqualValues(t, 2, calls.Load())
	l.balanced(t)
}

func TestProvide_options_serve_several_applications(t *testing.T) {
	t.Parallel()
	shared := fx.Options(
		fxscope.Value[tenant](),
		fxscope.Provide(func(d *db, _ tenant) *session { return &session{db: d} }),
		fxscope.ProvideQualified[*orders](func(s *session) *orders { return &orders{s} }, region.Of("eu")),
	)
	for _, dsn := range []string{"one", "two"} {
		scopes := begin(t, shared, fx.Supply(&db{dsn}))
		require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
			o, err := fxscope.Get[*orders](ctx, region.Of("eu"))
			if assert.NoError(t, err) {
				assert.Equal(t, dsn, o.session.db.dsn)
			}
			return nil
		}, fxscope.With[tenant]("x")))
	}
}

func TestProvide_constructor_context(t *testing.T) {
	t.Parallel()
	type (
		traceKey struct{}
		onlyHere struct{}
	)
	type loaded struct{ ctx context.Context }
	scopes := begin(t, fxscope.Provide(func(ctx context.Context) *loaded { return &loaded{ctx} }))

	root := context.WithValue(t.Context(), traceKey{}, "trace")
	beginCtx, stopScope := context.WithCancel(root)
	ctx, sc := scopes.Begin(beginCtx)
	stopScope()
	getCtx, stopGet := context.WithCancelCause(context.WithValue(context.WithoutCancel(ctx), onlyHere{}, true))
	l, err := fxscope.Get[*loaded](getCtx)
	require.NoError(t, err)
	assert.Equal(t, "trace", l.ctx.Value(traceKey{}), "it has the values of the scope")
	assert.Nil(t, l.ctx.Value(onlyHere{}), "and none of the Get's: who happens to ask first makes no difference")
	require.NoError(t, l.ctx.Err(), "and not its cancellation")
	require.NoError(t, context.Cause(l.ctx))
	derived, cancel := context.WithCancel(l.ctx)
	defer cancel()
	stopGet(assert.AnError)
	<-derived.Done()
	assert.ErrorIs(t, context.Cause(derived), assert.AnError, "but that of the Get")
	assert.Contains(t, l.ctx.(interface{ String() string }).String(), sc.ID())
	assert.NoError(t, sc.End(t.Context()))
}
