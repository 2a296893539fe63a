package fxqualifier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxqualifier"
)

type loud struct{ says string }

func (l *loud) Hello() string { return l.says }

type DB struct{ name string }

func newDB() *DB { return &DB{"db"} }

type loudParams struct {
	fx.In
	DB     *DB
	Extra  Hello `name:"extra" optional:"true"`
	Others []int `group:"others"`
}

func newLoud(p loudParams) (*loud, error) { return &loud{p.DB.name + fmt.Sprint(len(p.Others))}, nil }

func newVariadic(db *DB, more ...string) *loud            { return &loud{fmt.Sprint(db.name, more)} }
func newBoth(db *DB, p loudParams, lc fx.Lifecycle) Hello { return &loud{db.name + p.DB.name} }

// Q5
func TestQ5_a_constructor_may_take_what_Fx_provides_and_return_what_implements_T(t *testing.T) {
	t.Parallel()
	type params struct {
		fx.In
		Plain    Hello
		Loud     Hello `name:"kind=loud"`
		Variadic Hello `name:"kind=variadic,shard=3"`
		Several  Hello `name:"kind=several"`
		Wider    Hello `name:"kind=wider"`
		Concrete *loud `name:"kind=concrete"`
	}
	var in params
	var set *fxqualifier.Set[Hello]
	var concrete *fxqualifier.Set[*loud]
	require.NoError(t, build(
		fx.Provide(newDB),
		fx.Supply(fx.Annotated{Group: "others", Target: 1}, fx.Annotated{Group: "others", Target: 2}),
		fxqualifier.Provide[Hello](newFoo),
		fxqualifier.Provide[Hello](newLoud, Kind.Of("loud")),
		fxqualifier.Provide[Hello](newVariadic, Shard.Of(3), Kind.Of("variadic")),
		fxqualifier.Provide[Hello](newBoth, Kind.Of("several")),
		fxqualifier.Provide[Hello](func() wider { return nil }, Kind.Of("wider")),
		fxqualifier.Provide[*loud](newLoud, Kind.Of("concrete")),
		fxqualifier.Collect[Hello](),
		fxqualifier.Collect[*loud](),
		fx.Populate(&set, &concrete),
		fx.Invoke(func(p params) { in = p }),
	))
	for _, tt := range []struct {
		byName Hello
		says   string
		qs     []fxqualifier.Qualifier
	}{
		{in.Loud, "db2", []fxqualifier.Qualifier{Kind.Of("loud")}},
		{in.Variadic, "db[]", []fxqualifier.Qualifier{Kind.Of("variadic")}},
		{in.Several, "dbdb", []fxqualifier.Qualifier{Kind.Of("several")}},
	} {
		assert.Equal(t, tt.says, tt.byName.Hello())
		bySet, err := set.Get(t.Context(), tt.qs...)
		require.NoError(t, err)
		assert.Same(t, tt.byName, bySet, "one object, built once")
	}
	assert.Equal(t, "foo", in.Plain.Hello())
	assert.Nil(t, in.Wider)
	l, err := concrete.Get(t.Context())
	require.NoError(t, err)
	assert.Same(t, in.Concrete, l)
	assert.Len(t, set.Members(), 5)
}

type (
	mute        struct{}
	wrongHello  struct{}
	behindPoint struct{}
	stranger    interface{ Bye() }
	wider       interface {
		Hello
		fmt.Stringer
	}
)

func (wrongHello) Hello(string) string { return "" }
func (*behindPoint) Hello() string     { return "" }

func newMute() *mute                { return nil }
func newWrong() wrongHello          { return wrongHello{} }
func newBehind() behindPoint        { return behindPoint{} }
func newTwo() (Hello, Hello)        { return nil, nil }
func newThree() (Hello, int, error) { return nil, 0, nil }
func newNothing(*DB)                {}
func newError() error               { return nil }
func newOut() (o struct {
	fx.Out
	H Hello
},
) {
	return o
}
func newBye() stranger { return nil }

// Q5
func TestQ5_what_is_no_constructor_of_T_fails_New_with_its_place(t *testing.T) {
	t.Parallel()
	const at = "fxqualifier: provide app.Hello[kind=x] at provide_test.go:N: "
	const must = "the constructor must be a function that returns app.Hello, or app.Hello and an error: got "
	for _, tt := range []struct {
		name        string
		constructor any
		want        string
	}{
		{"a value", named("x"), must + "app.named (not a function)"},
		{"nil", nil, must + "<nil> (not a function)"},
		{"a nil function", (func() Hello)(nil), must + "func() app.Hello (not a function)"},
		{"an annotated function", fx.Annotate(newFoo), must + "fx.annotated (not a function) (give the function itself: the qualifiers are its name, and parameters get tags in an fx.In)"},
		{"fx.Annotated", fx.Annotated{Target: newFoo}, must + "fx.Annotated (not a function) (give the function itself: the qualifiers are its name, and parameters get tags in an fx.In)"},
		{"no result", newNothing, "app.newNothing (provide_test.go:N) must return app.Hello, or app.Hello and an error: its type is func(*app.DB)"},
		{"an error alone", newError, "app.newError (provide_test.go:N) returns error, which does not implement app.Hello (method Hello is missing)"},
		{"two results", newTwo, "app.newTwo (provide_test.go:N) must return app.Hello, or app.Hello and an error: its type is func() (app.Hello, app.Hello)"},
		{"three results", newThree, "app.newThree (provide_test.go:N) must return app.Hello, or app.Hello and an error: its type is func() (app.Hello, int, error)"},
		{"a type without the method", newMute, "app.newMute (provide_test.go:N) returns *app.mute, which does not implement app.Hello (method Hello is missing)"},
		{"a method of another type", newWrong, "app.newWrong (provide_test.go:N) returns app.wrongHello, which does not implement app.Hello (method Hello is func(string) string, not func() string)"},
		{"a method of the pointer", newBehind, "app.newBehind (provide_test.go:N) returns app.behindPoint, which does not implement app.Hello (method Hello is one of *app.behindPoint)"},
		{"another interface", newBye, "app.newBye (provide_test.go:N) returns app.stranger, which does not implement app.Hello (method Hello is missing)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := build(fxqualifier.Provide[Hello](tt.constructor, Kind.Of("x")))
			require.Error(t, err)
			assert.Equal(t, at+tt.want, short(err))

			get := func(context.Context) (Hello, error) { return nil, nil }
			err = build(fxqualifier.Dynamic(tt.constructor, get, Kind.Of("x")))
			require.Error(t, err)
			assert.Equal(t, "fxqualifier: provide dynamic app.Hello[kind=x] at provide_test.go:N: "+tt.want, short(err))
		})
	}
	assert.ErrorContains(t, build(fxqualifier.Provide[Hello](newOut)), "does not implement fxqualifier_test.Hello")
	assert.ErrorContains(t, build(fxqualifier.Dynamic[Hello](newFoo, nil)), "get must not be nil")
	assert.ErrorContains(t, build(fxqualifier.Provide[error](newError)), "error implements error, and Fx cannot provide what does")
	err := build(fxqualifier.Provide[*loud](newFoo))
	require.Error(t, err)
	assert.Equal(t, "fxqualifier: provide *app.loud at provide_test.go:N: app.newFoo (fixtures_test.go:N) returns app.Hello, not *app.loud", short(err))
}

// Q5, G7
func TestQ5_an_error_of_a_constructor_names_it_and_not_a_wrapper(t *testing.T) {
	t.Parallel()
	set := fx.Invoke(func(*fxqualifier.Set[Hello]) {})
	err := build(fxqualifier.Provide[Hello](newFailing, Kind.Of("x")), fxqualifier.Collect[Hello](), set)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Contains(t, short(err), `failed to build app.Hello[name="kind=x"]: received non-nil error from function "app".newFailing`)
	assert.NotContains(t, err.Error(), "makeFuncStub")

	err = build(fxqualifier.Provide[Hello](newLoud, Kind.Of("x")), fxqualifier.Collect[Hello](), set)
	require.Error(t, err)
	assert.Contains(t, short(err), `missing dependencies for function "app".newLoud (`)
	assert.Contains(t, short(err), "missing type: *app.DB")
	assert.NotContains(t, err.Error(), "makeFuncStub")
}

func newFailing() (Hello, error) { return nil, fmt.Errorf("no luck: %w", io.ErrUnexpectedEOF) }

// G7: Fx's events name the user's constructor too.
func TestQ5_Fx_logs_the_constructor_by_its_name(t *testing.T) {
	t.Parallel()
	var log eventLog
	app := fx.New(
		fx.WithLogger(func() fxevent.Logger { return &log }),
		fxqualifier.Provide[Hello](newFoo, Kind.Of("x")),
		fxqualifier.Instances[Hello](Shard, newShard, 1),
	)
	require.NoError(t, app.Err())
	assert.Contains(t, log.provided["fxqualifier_test.Hello[name = \"kind=x\"]"], "fxqualifier_test.newFoo()")
	assert.Contains(t, log.provided["fxqualifier_test.Hello[name = \"shard=1\"]"], "fxqualifier_test.newShard()")
}

type eventLog struct{ provided map[string]string }

func (l *eventLog) LogEvent(e fxevent.Event) {
	if p, ok := e.(*fxevent.Provided); ok {
		for _, name := range p.OutputTypeNames {
			if l.provided == nil {
				l.provided = make(map[string]string)
			}
			l.provided[name] = p.ConstructorName
		}
	}
}

// Q6: singletons as Fx has them: built once, when somebody wants them, in New.
func TestQ6_singleton_members_are_built_once_and_by_New(t *testing.T) {
	t.Parallel()
	built := map[string]int{}
	counting := func(name string) func() Hello {
		return func() Hello { built[name]++; return named(name) }
	}
	options := fx.Options(
		fxqualifier.Provide[Hello](counting("a"), Kind.Of("a")),
		fxqualifier.Provide[Hello](counting("b"), Kind.Of("b")),
		fxqualifier.Collect[Hello](),
	)
	require.NoError(t, build(options))
	assert.Empty(t, built, "nobody wants them")
	var set *fxqualifier.Set[Hello]
	app := fxtest.New(t, fx.NopLogger, options, fx.Populate(&set), fx.Invoke(fx.Annotate(func(Hello) {}, fx.ParamTags(`name:"kind=a"`))))
	app.RequireStart()
	hellos(t, set)
	hellos(t, set)
	app.RequireStop()
	assert.Equal(t, map[string]int{"a": 1, "b": 1}, built)
}

// G1: options are values, and any number of applications may have them at the same time.
func TestQ8_options_serve_several_applications_at_once(t *testing.T) {
	t.Parallel()
	type counter struct{ n int }
	options := fx.Options(
		fxqualifier.Provide[Hello](func(c *counter) Hello { c.n++; return named(fmt.Sprint("provide ", c.n)) }, Kind.Of("a")),
		fxqualifier.Instances[Hello](Shard, func(n int, c *counter) Hello { c.n++; return named(fmt.Sprint("instance ", c.n)) }, 3, 2, 1),
		fxqualifier.Dynamic[Hello](newFoo, func(context.Context) (Hello, error) { return nil, errors.New("dynamic") }, Kind.Of("b")),
		fxqualifier.Collect[Hello](),
	)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var set *fxqualifier.Set[Hello]
			if assert.NoError(t, build(fx.Supply(&counter{}), options, fx.Populate(&set))) {
				said := hellos(t, set)
				assert.Equal(t, []string{"provide 1", "instance 2", "instance 3", "instance 4"}, said[:4])
				assert.Contains(t, said[4], "dynamic")
			}
		})
	}
	wg.Wait()
}

// Q5: Fx's own ways to replace a value reach the Set too.
func TestQ5_a_decorated_or_replaced_value_is_the_member(t *testing.T) {
	t.Parallel()
	tag := fxqualifier.Tag(Kind.Of("foo"))
	for _, tt := range []struct {
		name   string
		change fx.Option
	}{
		{"decorated", fx.Decorate(fx.Annotate(func(h Hello) Hello { return named("changed") }, fx.ParamTags(tag), fx.ResultTags(tag)))},
		{"replaced", fx.Replace(fx.Annotate(named("changed"), fx.As(new(Hello)), fx.ResultTags(tag)))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := collected[Hello](t, fx.Module("m", fxqualifier.Provide[Hello](newFoo, Kind.Of("foo"))), tt.change)
			assert.Equal(t, []string{"changed"}, hellos(t, set))
		})
	}
}

func TestOptions_pass_ValidateApp_and_keep_no_slice_of_the_caller(t *testing.T) {
	t.Parallel()
	qs := []fxqualifier.Qualifier{Kind.Of("a")}
	dynamic := []fxqualifier.Qualifier{Kind.Of("b")}
	values := []int{1, 2}
	options := fx.Options(
		fxqualifier.Provide[Hello](newFoo, qs...),
		fxqualifier.Dynamic(newBar, func(context.Context) (Hello, error) { return nil, nil }, dynamic...),
		fxqualifier.Instances[Hello](Shard, newShard, values...),
	)
	qs[0], dynamic[0], values[0] = Kind.Of("x"), Kind.Of("x"), 9
	require.NoError(t, fx.ValidateApp(fx.NopLogger, options, fxqualifier.Collect[Hello](), fx.Invoke(func(*fxqualifier.Set[Hello]) {})))
	set := collected[Hello](t, options)
	assert.Equal(t, "[[kind=a] [kind=b] [shard=1] [shard=2]]", fmt.Sprint(set.Members()))
	h, err := set.Get(t.Context(), Shard.Of(1))
	require.NoError(t, err)
	assert.Equal(t, "shard 1", h.Hello())
}

// G7: a graph's message walks from whoever wants the Set to the user's constructor, by names and places of the user's.
func TestQ5_the_path_to_a_failure_names_the_constructor_at_every_step(t *testing.T) {
	t.Parallel()
	err := build(fxqualifier.Provide[Hello](newFailing, Kind.Of("x")), fxqualifier.Collect[Hello](), fx.Invoke(func(*fxqualifier.Set[Hello]) {}))
	require.Error(t, err)
	assert.Regexp(t, `could not build value group .*: could not build arguments for function "app"\.newFailing \(provide_test.go:N\): `+
		`failed to build app\.Hello\[name="kind=x"\]: received non-nil error from function "app"\.newFailing \(provide_test.go:N\): no luck: unexpected EOF$`, short(err))
}
