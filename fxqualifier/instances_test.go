package fxqualifier_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxqualifier"
)

func newShard(n int) *loud { return &loud{fmt.Sprint("shard ", n)} }

func newShardBehind(db *DB, n int, more ...string) Hello { return &loud{fmt.Sprint(db.name, n, more)} }

func newShardIn(p loudParams, n int) (Hello, error) { return &loud{fmt.Sprint(p.DB.name, n)}, nil }

func newShardInMore(n int, p loudParams, more ...*DB) Hello {
	return &loud{fmt.Sprint(p.DB.name, n, len(more))}
}

type failure string

func (failure) Error() string { return "" }

func newFailure(f failure) Hello { return named(f) }

// Q8
func TestQ8_Instances_provides_one_object_per_value_and_tells_it_its_value(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		constructor any
		want        []string
	}{
		{"the value alone", newShard, []string{"shard 3", "shard -1"}},
		{"beside other parameters and variadic ones", newShardBehind, []string{"db3 []", "db-1 []"}},
		{"after an fx.In", newShardIn, []string{"db3", "db-1"}},
		{"before an fx.In", newShardInMore, []string{"db3 0", "db-1 0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var in struct {
				fx.In
				Three Hello `name:"shard=3"`
				Minus Hello `name:"shard=-1"`
			}
			set := collected[Hello](
				t,
				fx.Provide(newDB),
				fxqualifier.Instances[Hello](Shard, tt.constructor, 3, -1),
				fx.Invoke(func(p struct {
					fx.In
					Three Hello `name:"shard=3"`
					Minus Hello `name:"shard=-1"`
				},
				) {
					in = p
				}),
			)
			assert.Equal(t, tt.want, hellos(t, set), "in the order of the values")
			three, err := set.Get(t.Context(), Shard.Of(3))
			require.NoError(t, err)
			assert.Same(t, in.Three, three)
			assert.Equal(t, tt.want[1], in.Minus.Hello())
		})
	}
}

// Q8
func TestQ8_no_values_are_legal_and_what_is_wrong_with_the_constructor_shows_all_the_same(t *testing.T) {
	t.Parallel()
	var configured []string
	set := collected[Hello](t, fxqualifier.Instances[Hello](Kind, newOfKind, configured...))
	assert.Empty(t, set.Members())
	assert.Error(t, build(fxqualifier.Instances[Hello](Kind, newFoo, configured...)))
}

// Q8
func TestQ8_values_may_be_of_any_scalar_type(t *testing.T) {
	t.Parallel()
	set := collected[Hello](
		t,
		fxqualifier.Instances[Hello](fxqualifier.NewAttribute[failure]("a"), newFailure, "an error", "another"),
		fxqualifier.Instances[Hello](fxqualifier.NewAttribute[bool]("b"), func(b bool) Hello { return named(fmt.Sprint(b)) }, true, false),
		fxqualifier.Instances[Hello](fxqualifier.NewAttribute[label]("c"), newLabelled, "`\",\n"),
		fxqualifier.Instances[Hello](Kind, newOfKind, "", " "),
	)
	assert.Equal(t, []string{"an error", "another", "true", "false", "`\",\n", "", " "}, hellos(t, set))
}

// Q8: the values are kept apart from those of every other option.
func TestQ8_several_sets_may_have_instances_by_the_same_values(t *testing.T) {
	t.Parallel()
	var hello *fxqualifier.Set[Hello]
	var loads *fxqualifier.Set[*loud]
	require.NoError(t, build(
		fxqualifier.Instances[Hello](Shard, newShard, 1, 2),
		fxqualifier.Instances[*loud](Shard, newShard, 1, 2),
		fxqualifier.Instances[Hello](fxqualifier.NewAttribute[int]("other"), newShard, 1, 2),
		fx.Supply(7),
		fx.Invoke(func(n int) { assert.Equal(t, 7, n, "the plain int is the application's") }),
		fxqualifier.Collect[Hello](), fxqualifier.Collect[*loud](), fx.Populate(&hello, &loads),
	))
	assert.Equal(t, []string{"shard 1", "shard 2", "shard 1", "shard 2"}, hellos(t, hello))
	assert.Len(t, loads.Members(), 2)
}

func newTwoInts(int, int) Hello { return nil }

// Q5, Q3
func TestQ5_Instances_says_what_is_wrong_with_its_arguments(t *testing.T) {
	t.Parallel()
	const at = `fxqualifier: provide instances of app.Hello by "shard" at instances_test.go:N: `
	for _, tt := range []struct {
		name   string
		option fx.Option
		want   string
	}{
		{"no function", fxqualifier.Instances[Hello](Shard, 3), at + "the constructor must be a function that returns app.Hello, or app.Hello and an error: got int (not a function)"},
		{"another result", fxqualifier.Instances[Hello](Shard, newDB), at + "app.newDB (provide_test.go:N) returns *app.DB, which does not implement app.Hello (method Hello is missing)"},
		{"no parameter for the value", fxqualifier.Instances[Hello](Shard, newOfKind, 1), at + "app.newOfKind (register_test.go:N) has no parameter of type int, which would get the value: its type is func(string) app.Hello"},
		{"two of them", fxqualifier.Instances[Hello](Shard, newTwoInts, 1), at + "app.newTwoInts (instances_test.go:N) has 2 parameters of type int, and which of them gets the value is open: give the attribute a type of its own"},
		{"a value twice", fxqualifier.Instances[Hello](Shard, newShard, 1, 2, 1), at + "shard=1 is listed twice"},
		{"no attribute", fxqualifier.Instances[Hello](fxqualifier.Attribute[int]{}, newShard, 1, 2), `fxqualifier: provide instances of app.Hello by "" at instances_test.go:N: a qualifier has no attribute: make attributes with NewAttribute and a name`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := build(tt.option)
			require.Error(t, err)
			assert.Equal(t, tt.want, short(err))
		})
	}
}

// G7
func TestQ5_errors_of_instances_name_the_constructor_and_not_a_wrapper(t *testing.T) {
	t.Parallel()
	for _, constructor := range []any{newShardBehind, newShardIn} {
		err := build(fxqualifier.Instances[Hello](Shard, constructor, 1), fxqualifier.Collect[Hello](), fx.Invoke(func(*fxqualifier.Set[Hello]) {}))
		require.Error(t, err)
		assert.Regexp(t, `missing dependencies for function "app"\.newShard\w+ \(instances_test\.go:N\): missing type: \*app\.DB`, short(err))
		assert.NotContains(t, err.Error(), "makeFuncStub")
	}
}
