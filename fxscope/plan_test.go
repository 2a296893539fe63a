package fxscope_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/fxscope"
)

type (
	alpha struct{ *beta }
	beta  struct{ *gamma }
	gamma struct{}
)

func newAlpha(b *beta) *alpha        { return &alpha{b} }
func newBeta(g *gamma) *beta         { return &beta{g} }
func newGamma() *gamma               { return &gamma{} }
func newGammaOfAlpha(*alpha) *gamma  { return &gamma{} }
func newGammaOfClient(c *db) *gamma  { return &gamma{} }
func newDBOfClient(*http.Client) *db { return &db{} }

type store interface{ Save() }

func (*gamma) Save() {}

// place is "pkg.name (…/plan_test.go:line)" as a regular expression.
func place(name string) string {
	return `github\.com/fxkit/fxkit/fxscope_test\.` + name + ` \(/.*/plan_test\.go:\d+\)`
}

func TestS2_what_is_wrong_with_the_plan_fails_New(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []fx.Option
		want []string // regular expressions
	}{
		{
			"a dependency that nobody provides, with who wants it and the path",
			[]fx.Option{fxscope.Provide(newAlpha, newBeta)},
			[]string{`fxscope: \*fxscope_test\.gamma, wanted by ` + place("newBeta") + ` as parameter 1 \(\*fxscope_test\.alpha, which wanted \*fxscope_test\.beta, which wanted \*fxscope_test\.gamma\): not provided, neither by Fx nor by a scoped constructor$`},
		},
		{
			"a cycle, whole, with each constructor",
			[]fx.Option{fxscope.Provide(newAlpha, newBeta, newGammaOfAlpha)},
			[]string{`fxscope: cycle: \*fxscope_test\.alpha from ` + place("newAlpha") + `, which wants \*fxscope_test\.beta from ` + place("newBeta") +
				`, which wants \*fxscope_test\.gamma from ` + place("newGammaOfAlpha") + `, which wants \*fxscope_test\.alpha:`},
		},
		{
			"a constructor that wants what it makes",
			[]fx.Option{fxscope.Provide(func(g *gamma) *gamma { return g })},
			[]string{`fxscope: cycle: \*fxscope_test\.gamma from .*, which wants \*fxscope_test\.gamma:`},
		},
		{
			"two constructors of one type",
			[]fx.Option{fxscope.Provide(newGamma), fxscope.Provide(newGammaOfClient), fx.Supply(&db{})},
			[]string{`fxscope: \*fxscope_test\.gamma has two constructors, ` + place("newGamma") + ` and ` + place("newGammaOfClient")},
		},
		{
			"one constructor twice",
			[]fx.Option{fxscope.Provide(newGamma, newGamma)},
			[]string{`two constructors, ` + place("newGamma") + ` and ` + place("newGamma")},
		},
		{
			"one type twice among the results",
			[]fx.Option{fxscope.Provide(func() (*gamma, *gamma) { return nil, nil })},
			[]string{`returns \*fxscope_test\.gamma twice`},
		},
		{
			"Value and Provide of one type",
			[]fx.Option{fxscope.Value[*gamma](), fxscope.Provide(newGamma)},
			[]string{`\*fxscope_test\.gamma is a Value \(Value at /.*/plan_test\.go:\d+\) and also what ` + place("newGamma") + ` returns`},
		},
		{
			"Provide of the request, which is a Value",
			[]fx.Option{fxscope.Provide(func() *http.Request { return nil })},
			[]string{`\*http\.Request is a Value \(fxscope itself, for Middleware\)`},
		},
		{
			"a constructor without a result",
			[]fx.Option{fxscope.Provide(func() {}, func() error { return nil })},
			[]string{`fxscope: provide: .*\.func\d+ \(/.*/plan_test\.go:\d+\) has no result`},
		},
		{
			"what is no function, and nothing",
			[]fx.Option{fxscope.Provide(7, nil, (func() *gamma)(nil), fx.Annotate(newGamma, fx.As(new(store))))},
			[]string{`must be a function, got int`, `got <nil>`, `got func\(\) \*fxscope_test\.gamma`, `annotations are Fx's own`},
		},
		{
			"fx.Lifecycle, also in an fx.In",
			[]fx.Option{fxscope.Provide(
				func(fx.Lifecycle) *gamma { return nil },
				func(struct {
					fx.In
					LC fx.Lifecycle
				},
				) *beta {
					return nil
				},
			)},
			[]string{`takes fx\.Lifecycle \(parameter 1\)`, `takes fx\.Lifecycle \(field LC of struct`, `fxlifecycle's methods`},
		},
		{
			"an fx.Out, and an fx.In where it does not belong",
			[]fx.Option{fxscope.Provide(
				func() (o struct{ fx.Out }) { return o },
				func(*struct{ fx.In }) *gamma { return nil },
				func() (i struct{ fx.In }) { return i },
				func(struct{ fx.Out }) *beta { return nil },
			)},
			[]string{`an fx\.Out: return several results`, `take an fx\.In by value`, `an fx\.In: those are for parameters`, `an fx\.Out: those are for results`},
		},
		{
			"a copy whose hooks are on its pointer",
			[]fx.Option{fxscope.Provide(func() slow { return slow{} })},
			[]string{`returns fxscope_test\.slow, whose hook Destroy is declared on the pointer, so a copy would never run it: return \*fxscope_test\.slow`},
		},
		{
			"errors in odd places",
			[]fx.Option{fxscope.Provide(
				func() (error, *gamma) { return nil, nil }, //lint:ignore ST1008 it is what is tested
				func(error) *beta { return nil },
			)},
			[]string{`an error must be the last result`, `takes an error \(parameter 1\)`},
		},
		{
			"what every scope has of its own",
			[]fx.Option{
				fxscope.Provide(func() context.Context { return nil }, func() *fxscope.Scope { return nil }, func() *fxbackground.Group { return nil }),
				fxscope.Value[context.Context](), fxscope.Value[*fxscope.Scopes](),
			},
			[]string{`returns context\.Context: every scope has its own`, `returns \*fxscope\.Scope: every`, `returns \*fxbackground\.Group: every`, `context\.Context cannot be a Value`, `\*fxscope\.Scopes cannot be a Value`},
		},
		{
			"tags that mean nothing",
			[]fx.Option{fxscope.Provide(
				func(struct {
					fx.In
					A *db   `scope:"singelton"`
					B *db   `optional:"yes"`
					C *db   `group:"x"`
					D []*db `group:"x" name:"y"`
					E []*db `group:"x" optional:"true"`
					F []*db `group:"x,flatten"`
					G []*db `group:"x" scope:"request"`
					h *db
					I *fxscope.Scope `name:"mine"`
				},
				) *gamma {
					return nil
				},
			)},
			[]string{
				`field A of struct.*scope:"singelton" must be "singleton" or "request" \(did you mean "singleton"\?\)`, `field B .*optional:"yes" is neither`, `field C .*a group fills a slice`,
				`field D .*exclude each other`, `field E .*cannot be optional`, `field F .*unknown option`, `field G .*groups are Fx's`,
				`field h of struct .*not exported`, `with a name or as a singleton \(field I`,
			},
		},
		{
			"a singleton whose provider lacks something is reported by the leaf",
			[]fx.Option{fxscope.Provide(newGammaOfClient), fx.Provide(newDBOfClient)},
			[]string{`fxscope: \*fxscope_test\.db, wanted by ` + place("newGammaOfClient") + ` as parameter 1: Fx cannot provide it: github\.com/fxkit/fxkit/fxscope_test\.newDBOfClient wants \*http\.Client for \*fxscope_test\.db, and nobody provides \*http\.Client`},
		},
		{
			"what the provider takes optionally is not to blame",
			[]fx.Option{
				fxscope.Provide(newGammaOfClient),
				fx.Provide(func(struct {
					fx.In
					T *http.Transport `optional:"true"`
					C *http.Client
				},
				) *db {
					return nil
				}),
			},
			[]string{`wants \*http\.Client for \*fxscope_test\.db, and nobody provides \*http\.Client`},
		},
		{
			"also if it is optional, which Fx would hide",
			[]fx.Option{
				fx.Provide(newDBOfClient),
				fxscope.Provide(func(struct {
					fx.In
					DB *db `optional:"true"`
				},
				) *gamma {
					return nil
				}),
			},
			[]string{`\*fxscope_test\.db, wanted by .* as field DB of struct.*: Fx cannot provide it: .*newDBOfClient wants \*http\.Client`},
		},
		{
			"also deeper, by name, and in a group",
			[]fx.Option{
				fx.Provide(
					newDBOfClient,
					fx.Annotated{Name: "n", Target: func(*db) *alpha { return nil }},
					fx.Annotated{Group: "g", Target: func(struct {
						fx.In
						A *alpha `name:"n"`
					},
					) *beta {
						return nil
					}},
				),
				fxscope.Provide(func(struct {
					fx.In
					A *alpha  `name:"n"`
					B []*beta `group:"g"`
				},
				) *gamma {
					return nil
				}),
			},
			[]string{
				`\*fxscope_test\.alpha\[name="n"\], wanted by .* as field A .*: Fx cannot provide it: .*newDBOfClient wants \*http\.Client`,
				`\[\]\*fxscope_test\.beta\[group="g"\], wanted by .* as field B .*: Fx cannot provide it: .*newDBOfClient wants \*http\.Client`,
			},
		},
		{
			"with what there is instead",
			[]fx.Option{
				fx.Supply(db{}, fx.Annotate(&db{}, fx.ResultTags(`name:"replica"`))),
				fxscope.Provide(newGammaOfClient, func(store) *alpha { return nil }, func(*session) *beta { return nil }),
				fxscope.ProvideQualified[*session](func() *session { return nil }, region.Of("eu")),
			},
			[]string{
				`\*fxscope_test\.db, wanted by .*: there is fxscope_test\.db from fx\.Supply or fx\.Annotate \(Fx\)`, `\*fxscope_test\.db\[name=replica\] from`,
				`fxscope_test\.store, wanted by .*: there is .*\*fxscope_test\.gamma from ` + place("newGammaOfClient"),
				`\*fxscope_test\.session, wanted by .*: there is \*fxscope_test\.session\[name="region=eu"\] from `,
			},
		},
		{
			"with what may have been misspelt",
			[]fx.Option{fxscope.Provide(newGamma, func(*gama) *beta { return nil })},
			[]string{`\*fxscope_test\.gama, wanted by .*\(did you mean \*fxscope_test\.gamma\?\)`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := planError(t, tt.opts...)
			for _, want := range tt.want {
				assert.Regexp(t, `(?m)`+want, err.Error())
			}
		})
	}
}

type gama struct{}

func TestS2_several_problems_come_in_one_error(t *testing.T) {
	t.Parallel()
	err := planError(t, fxscope.Provide(newBeta, func(*db) *alpha { return nil }))
	assert.ErrorIs(t, err, fxscope.ErrNotProvided)
	assert.ErrorContains(t, err, "*fxscope_test.gamma, wanted by")
	assert.ErrorContains(t, err, "*fxscope_test.db, wanted by")
}

func TestS2_the_error_of_a_singleton_is_its_own(t *testing.T) {
	t.Parallel()
	broken := errors.New("no route to host")
	err := planError(t, fx.Provide(func() (*db, error) { return nil, broken }), fxscope.Provide(newGammaOfClient))
	assert.ErrorIs(t, err, broken)
	assert.Regexp(t, `could not build arguments for function "github.com/fxkit/fxkit/fxscope_test".newGammaOfClient \(.*plan_test.go:\d+\)`, err.Error(), "Fx names the scoped constructor as who wants it")
}

func TestS2_singletons_are_real_dependencies(t *testing.T) {
	t.Parallel()
	var order []string
	begin(t,
		fx.Provide(func() *http.Client { order = append(order, "client"); return nil }),
		fx.Provide(func(*http.Client) *db { order = append(order, "db"); return nil }), // a nil is no absence
		fxscope.Provide(newGammaOfClient),
	)
	assert.Equal(t, []string{"client", "db"}, order, "Fx builds them at startup, in its order")
}

func TestS2_constructors_in_modules_see_what_is_private_there(t *testing.T) {
	t.Parallel()
	scopes := begin(t,
		fx.Module("eu", fx.Provide(fx.Private, func() *db { return &db{"eu"} }), fxscope.Provide(func(d *db) *session { return &session{db: d} })),
		fx.Module("us",
			fx.Provide(fx.Private, func() *db { return &db{"us"} }),
			fx.Decorate(func(d *db) *db { return &db{d.dsn + ", decorated"} }),
			fxscope.ProvideQualified[*session](func(d *db) *session { return &session{db: d} }, region.Of("us")),
		),
	)
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		eu, err := fxscope.Get[*session](ctx)
		require.NoError(t, err)
		us, err := fxscope.Get[*session](ctx, region.Of("us"))
		require.NoError(t, err)
		assert.Equal(t, "eu us, decorated", eu.db.dsn+" "+us.db.dsn)
		return nil
	}))
	err := planError(t, fx.Module("eu", fx.Provide(fx.Private, func() *db { return &db{} })), fxscope.Provide(newGammaOfClient))
	assert.Regexp(t, `\*fxscope_test\.db, wanted by .*: not provided where this constructor can see it: \S+TestS2_constructors_in_modules\S+ provides it in another module, as fx\.Private`, err.Error())
}

func TestS14_without_Module(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]fx.Option{
		"newGamma":   fxscope.Provide(newGamma),
		"newCounter": fxscope.ProvideQualified[hello](newCounter, kind.Of("a")),
		"Value at":   fxscope.Value[*gamma](),
	} {
		err := fx.New(fx.NopLogger, fxqualifier.Collect[hello](), opt).Err()
		require.Error(t, err)
		assert.ErrorContains(t, err, "fxscope: fxscope.Module is missing: pass it to fx.New, for ")
		assert.ErrorContains(t, err, name)
	}
}

func TestS13_declaring_a_Value_again_is_the_same_as_once(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Value[tenant](), fxscope.Value[tenant](), fxscope.Value[*http.Request](),
		fxscope.Provide(func(v tenant) *db { return &db{string(v)} }))
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		d, err := fxscope.Get[*db](ctx)
		assert.Equal(t, &db{"acme"}, d)
		return err
	}, fxscope.With[tenant]("acme")))
}

// A plan of a thousand constructors is checked and made in no time.
func TestS2_a_large_plan(t *testing.T) {
	t.Parallel()
	opts := make([]fx.Option, 0, 1001)
	for i := range 1000 {
		opts = append(opts, fxscope.ProvideQualified[*counter](newCounter, kind.Of(fmt.Sprint(i))))
	}
	scopes := begin(t, opts...)
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		_, err := fxscope.Get[*counter](ctx, kind.Of("999"))
		return err
	}))
}
