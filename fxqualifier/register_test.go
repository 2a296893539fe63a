package fxqualifier_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxqualifier"
)

// Q3
func TestQ3_two_members_with_the_same_qualifiers_fail_New_and_name_both_constructors(t *testing.T) {
	t.Parallel()
	get := func(context.Context) (Hello, error) { return nil, nil }
	for _, tt := range []struct {
		name     string
		one, two fx.Option
	}{
		{
			"two singletons",
			fxqualifier.Provide[Hello](newFoo, Kind.Of("x"), Shard.Of(1)),
			fxqualifier.Provide[Hello](newBar, Shard.Of(1), Kind.Of("x")),
		},
		{"two without qualifiers", fxqualifier.Provide[Hello](newFoo), fxqualifier.Provide[Hello](newBar)},
		{"two dynamic ones", fxqualifier.Dynamic(newFoo, get, Kind.Of("x")), fxqualifier.Dynamic(newBar, get, Kind.Of("x"))},
		{"one of each", fxqualifier.Provide[Hello](newFoo, Kind.Of("x")), fxqualifier.Dynamic(newBar, get, Kind.Of("x"))},
		{"in another module", fxqualifier.Provide[Hello](newFoo, Kind.Of("x")), fx.Module("m", fxqualifier.Provide[Hello](newBar, Kind.Of("x")))},
		{"instances", fxqualifier.Provide[Hello](newFoo, Kind.Of("x")), fxqualifier.Instances[Hello](Kind, newOfKind, "y", "x")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := build(tt.one, tt.two, fxqualifier.Collect[Hello]())
			require.Error(t, err)
			assert.Regexp(t, `app"?\.newFoo \(fixtures_test.go:N\)`, short(err))
			assert.Regexp(t, `app"?\.(newBar|newOfKind) \(\w+_test.go:N\)`, short(err))
		})
	}
	err := build(fxqualifier.Dynamic(newFoo, get, Kind.Of("x")), fxqualifier.Dynamic(newBar, get, Kind.Of("x")), fxqualifier.Collect[Hello]())
	assert.Contains(t, short(err), "fxqualifier: app.Hello[kind=x] is provided 2 times, and qualifiers must tell its members apart: "+
		"by app.newBar (fixtures_test.go:N) and by app.newFoo (fixtures_test.go:N)")
}

func newOfKind(kind string) Hello { return named(kind) }

// Q3
func TestQ3_members_that_differ_in_one_qualifier_or_in_type_are_no_clash(t *testing.T) {
	t.Parallel()
	require.NoError(t, build(
		fxqualifier.Provide[Hello](newFoo),
		fxqualifier.Provide[Hello](newFoo, Kind.Of("x")),
		fxqualifier.Provide[Hello](newFoo, Kind.Of("x"), Shard.Of(1)),
		fxqualifier.Provide[Hello](newFoo, Kind.Of("x"), Shard.Of(2)),
		fxqualifier.Provide[*DB](newDB, Kind.Of("x")),
		fxqualifier.Collect[Hello](),
		fxqualifier.Collect[*DB](),
	))
}

// Q3
func TestQ3_an_attribute_of_two_value_types_fails_New_across_all_sets(t *testing.T) {
	t.Parallel()
	get := func(context.Context) (Hello, error) { return nil, nil }
	const want = `fxqualifier: attribute "kind" must have one type of value, and is used with 2: `
	typed := fxqualifier.NewAttribute[label]("kind")
	for _, tt := range []struct {
		name  string
		other fx.Option
		want  string
	}{
		{"in one set", fxqualifier.Provide[Hello](newBar, typed.Of("y")), "app.label by app.newBar (fixtures_test.go:N) and string by app.newFoo (fixtures_test.go:N)"},
		{"in another set", fx.Options(fxqualifier.Provide[*DB](newDB, typed.Of("x")), fxqualifier.Collect[*DB]()), "app.label by app.newDB (provide_test.go:N) and string by app.newFoo (fixtures_test.go:N)"},
		{"in what nobody collects", fxqualifier.Provide[*DB](newDB, typed.Of("x")), "app.label by app.newDB (provide_test.go:N) and string by app.newFoo (fixtures_test.go:N)"},
		{"of a dynamic member", fxqualifier.Dynamic(newBar, get, typed.Of("x")), "app.label by app.newBar (fixtures_test.go:N) and string by app.newFoo (fixtures_test.go:N)"},
		{"of instances without values", fxqualifier.Instances[Hello](typed, newLabelled), "string by app.newFoo (fixtures_test.go:N) and app.label by app.newLabelled (register_test.go:N)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 5 { // Fx shuffles; the message must not
				err := build(fxqualifier.Provide[Hello](newFoo, Kind.Of("x")), tt.other, fxqualifier.Collect[Hello]())
				require.Error(t, err)
				assert.Contains(t, short(err), want+tt.want)
			}
		})
	}
}

func newLabelled(l label) Hello { return named(l) }

// Q3
func TestQ3_one_attribute_twice_in_one_call_fails_New(t *testing.T) {
	t.Parallel()
	const want = `at register_test.go:N: app.newFoo (fixtures_test.go:N): attribute "kind" is given twice, as kind=x and as kind=y: a member has one value in each attribute`
	err := build(fxqualifier.Provide[Hello](newFoo, Kind.Of("x"), Shard.Of(1), Kind.Of("y")))
	require.Error(t, err)
	assert.Equal(t, "fxqualifier: provide app.Hello[kind=x,kind=y,shard=1] "+want, short(err))
	err = build(fxqualifier.Dynamic(newFoo, func(context.Context) (Hello, error) { return nil, nil }, Kind.Of("x"), Kind.Of("y")))
	require.Error(t, err)
	assert.Equal(t, "fxqualifier: provide dynamic app.Hello[kind=x,kind=y] "+want, short(err))
	assert.ErrorContains(t, build(fxqualifier.Provide[Hello](newFoo, fxqualifier.NewAttribute[string]("").Of("x"))), "a qualifier has no attribute")
	var zero fxqualifier.Attribute[int]
	assert.ErrorContains(t, build(fxqualifier.Provide[Hello](newFoo, zero.Of(1))), "a qualifier has no attribute")
	assert.ErrorContains(t, build(fxqualifier.Provide[Hello](3, zero.Of(1))), "(not a function)\nint (not a function): a qualifier has no attribute", "all that is wrong is said at once")
}

// Q3
func TestQ3_Collect_twice_fails_New_and_names_both_places(t *testing.T) {
	t.Parallel()
	err := build(fxqualifier.Collect[Hello](), fxqualifier.Collect[Hello]())
	require.Error(t, err)
	assert.Regexp(t, `(?s)cannot provide function "app"\.TestQ3_Collect_twice\w* \(register_test.go:N\):.*already provided by "app"\.TestQ3_Collect_twice\w* \(register_test.go:N\)`, short(err))
}

// Q3: what is wrong with qualifiers shows before anything is built.
func TestQ3_nothing_is_built_if_the_checks_fail(t *testing.T) {
	t.Parallel()
	built := 0
	err := build(
		fx.Invoke(func(*fxqualifier.Set[Hello]) {}),
		fxqualifier.Provide[Hello](func() Hello { built++; return nil }, Kind.Of("x")),
		fxqualifier.Provide[Hello](newFoo, fxqualifier.NewAttribute[int]("kind").Of(1)),
		fxqualifier.Collect[Hello](),
	)
	require.Error(t, err)
	assert.Zero(t, built)
}
