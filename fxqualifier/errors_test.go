package fxqualifier_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxqualifier"
)

// Q2
func TestQ2_errors_of_Get_say_what_was_asked_for_by_whom_and_what_there_is(t *testing.T) {
	t.Parallel()
	set := collected[Hello](
		t,
		fxqualifier.Provide[Hello](newFoo, Kind.Of("foo"), Region.Of("eu")),
		fxqualifier.Provide[Hello](newBar, Kind.Of("bar"), Region.Of("eu")),
		fxqualifier.Provide[Hello](newBar, Kind.Of("bar"), Region.Of("us"), Shard.Of(7)),
		fxqualifier.Dynamic[Hello](newFoo, func(context.Context) (Hello, error) { return nil, io.EOF }, Kind.Of("broken")),
	)
	const all = "; there are:" +
		"\n\tapp.Hello[kind=foo,region=eu] of app.newFoo (fixtures_test.go:N)" +
		"\n\tapp.Hello[kind=bar,region=eu] of app.newBar (fixtures_test.go:N)" +
		"\n\tapp.Hello[kind=bar,region=us,shard=7] of app.newBar (fixtures_test.go:N)" +
		"\n\tapp.Hello[kind=broken] of app.newFoo (fixtures_test.go:N)"
	for _, tt := range []struct {
		name string
		asks []fxqualifier.Qualifier
		want string
		is   error
	}{
		{
			"a value nobody has, with the nearest",
			[]fxqualifier.Qualifier{Kind.Of("fooo")},
			`app.Hello[kind=fooo], asked for at errors_test.go:N: not found: no member has kind=fooo (did you mean "foo"?)` + all,
			fxqualifier.ErrNotFound,
		},
		{
			"a number nobody has",
			[]fxqualifier.Qualifier{Shard.Of(8)},
			`app.Hello[shard=8], asked for at errors_test.go:N: not found: no member has shard=8` + all,
			fxqualifier.ErrNotFound,
		},
		{
			"an attribute nobody has, with the nearest",
			[]fxqualifier.Qualifier{fxqualifier.NewAttribute[string]("knid").Of("foo")},
			`app.Hello[knid=foo], asked for at errors_test.go:N: not found: no member has the attribute "knid" (did you mean "kind"?)` + all,
			fxqualifier.ErrNotFound,
		},
		{
			"an attribute of another type",
			[]fxqualifier.Qualifier{fxqualifier.NewAttribute[label]("kind").Of("foo")},
			`app.Hello[kind=foo], asked for at errors_test.go:N: not found: the values of attribute "kind" are of type string, not app.label` + all,
			fxqualifier.ErrNotFound,
		},
		{
			"several things wrong at once; the nearest members come first",
			[]fxqualifier.Qualifier{Kind.Of("brken"), Shard.Of(9), Region.Of("us")},
			`app.Hello[kind=brken,region=us,shard=9], asked for at errors_test.go:N: not found: no member has kind=brken (did you mean "broken"?), and no member has shard=9; there are:` +
				"\n\tapp.Hello[kind=bar,region=us,shard=7] of app.newBar (fixtures_test.go:N)" +
				"\n\tapp.Hello[kind=foo,region=eu] of app.newFoo (fixtures_test.go:N)" +
				"\n\tapp.Hello[kind=bar,region=eu] of app.newBar (fixtures_test.go:N)" +
				"\n\tapp.Hello[kind=broken] of app.newFoo (fixtures_test.go:N)",
			fxqualifier.ErrNotFound,
		},
		{
			"the zero Qualifier",
			[]fxqualifier.Qualifier{{}},
			`app.Hello[=], asked for at errors_test.go:N: not found: no member has the attribute ""` + all,
			fxqualifier.ErrNotFound,
		},
		{
			"not together",
			[]fxqualifier.Qualifier{Kind.Of("foo"), Region.Of("us")},
			`app.Hello[kind=foo,region=us], asked for at errors_test.go:N: not found: no member has all of these together; there are:` +
				"\n\tapp.Hello[kind=foo,region=eu] of app.newFoo (fixtures_test.go:N)" +
				"\n\tapp.Hello[kind=bar,region=us,shard=7] of app.newBar (fixtures_test.go:N)" +
				"\n\tapp.Hello[kind=bar,region=eu] of app.newBar (fixtures_test.go:N)" +
				"\n\tapp.Hello[kind=broken] of app.newFoo (fixtures_test.go:N)",
			fxqualifier.ErrNotFound,
		},
		{
			"several, and what tells them apart",
			[]fxqualifier.Qualifier{Kind.Of("bar")},
			`app.Hello[kind=bar], asked for at errors_test.go:N: ambiguous: 2 members match (ask also for region, shard):` +
				"\n\tapp.Hello[kind=bar,region=eu] of app.newBar (fixtures_test.go:N)" +
				"\n\tapp.Hello[kind=bar,region=us,shard=7] of app.newBar (fixtures_test.go:N)",
			fxqualifier.ErrAmbiguous,
		},
		{
			"a dynamic member that fails",
			[]fxqualifier.Qualifier{Kind.Of("broken")},
			`app.Hello[kind=broken] of app.newFoo (fixtures_test.go:N): EOF`,
			io.EOF,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := set.Get(t.Context(), tt.asks...)
			require.ErrorIs(t, err, tt.is)
			assert.Equal(t, "fxqualifier: get "+tt.want, short(err))
		})
	}
}

type factory struct{}

func (factory) newHello() Hello        { return named("of a factory") }
func (factory) newOfShard(n int) Hello { return named(fmt.Sprint(n)) }

// Q2
func TestQ2_a_method_value_is_named_with_the_place_where_it_is_provided(t *testing.T) {
	t.Parallel()
	set := collected[Hello](
		t,
		fxqualifier.Provide[Hello](factory{}.newHello, Kind.Of("foo")),
		fxqualifier.Instances[Hello](Shard, factory{}.newOfShard, 1),
		fxqualifier.Dynamic(factory{}.newHello, func(context.Context) (Hello, error) { return nil, io.EOF }, Kind.Of("bar")),
	)
	_, err := set.Get(t.Context())
	require.ErrorIs(t, err, fxqualifier.ErrAmbiguous)
	_, list, _ := strings.Cut(short(err), ":\n\t")
	assert.Equal(t, "app.Hello[kind=foo] of app.factory.newHello (provided at errors_test.go:N)\n"+
		"\tapp.Hello[shard=1] of app.factory.newOfShard (provided at errors_test.go:N)\n"+
		"\tapp.Hello[kind=bar] of app.factory.newHello", list)
}

// Q2
func TestQ2_an_empty_set_says_that_nothing_was_provided(t *testing.T) {
	t.Parallel()
	_, err := collected[Hello](t).Get(t.Context())
	require.ErrorIs(t, err, fxqualifier.ErrNotFound)
	assert.Equal(t, "fxqualifier: get app.Hello, asked for at errors_test.go:N: not found: no app.Hello was provided with fxqualifier.Provide", short(err))
}

// Q2
func TestQ2_an_error_lists_twenty_members_and_counts_the_rest(t *testing.T) {
	t.Parallel()
	var members []fxqualifier.Member[Hello]
	for i := range 100 {
		members = append(members, member(fmt.Sprint(i), Shard.Of(i)))
	}
	set := newSet(t, append(members, member("near", Kind.Of("a"), Region.Of("eu")))...)
	_, err := set.Get(t.Context(), Kind.Of("a"), Region.Of("us"))
	lines := strings.Split(short(err), "\n\t")
	require.Len(t, lines, 22)
	assert.Equal(t, "app.Hello[kind=a,region=eu] of member 101 of NewSet (set_test.go:N)", lines[1])
	assert.Equal(t, "and 81 more", lines[21])

	_, err = set.Get(t.Context())
	require.ErrorIs(t, err, fxqualifier.ErrAmbiguous)
	assert.Equal(t, 21, strings.Count(err.Error(), "\n"))
}
