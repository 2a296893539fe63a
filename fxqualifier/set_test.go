package fxqualifier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxqualifier"
)

var Region = fxqualifier.NewAttribute[string]("region")

func member(name string, qs ...fxqualifier.Qualifier) fxqualifier.Member[Hello] {
	return fxqualifier.Member[Hello]{Qualifiers: qs, Value: named(name)}
}

func newSet(t *testing.T, members ...fxqualifier.Member[Hello]) *fxqualifier.Set[Hello] {
	t.Helper()
	set, err := fxqualifier.NewSet(members...)
	require.NoError(t, err)
	return set
}

// Q1
func TestQ1_a_member_matches_if_it_carries_every_requested_qualifier(t *testing.T) {
	t.Parallel()
	set := newSet(
		t,
		member("plain"),
		member("mail", Kind.Of("mail")),
		member("mail eu", Region.Of("eu"), Kind.Of("mail")),
		member("log eu 1", Kind.Of("log"), Region.Of("eu"), Shard.Of(1)),
		member("log eu 2", Kind.Of("log"), Region.Of("eu"), Shard.Of(2)),
	)
	for _, tt := range []struct {
		name string
		asks []fxqualifier.Qualifier
		want []string
	}{
		{"nothing asked for matches all", nil, []string{"plain", "mail", "mail eu", "log eu 1", "log eu 2"}},
		{"one qualifier, and members may carry more", []fxqualifier.Qualifier{Kind.Of("mail")}, []string{"mail", "mail eu"}},
		{"two, in any order", []fxqualifier.Qualifier{Kind.Of("mail"), Region.Of("eu")}, []string{"mail eu"}},
		{"a number", []fxqualifier.Qualifier{Shard.Of(2)}, []string{"log eu 2"}},
		{"the same twice is the same as once", []fxqualifier.Qualifier{Shard.Of(2), Shard.Of(2)}, []string{"log eu 2"}},
		{"each is there, but not together", []fxqualifier.Qualifier{Kind.Of("mail"), Shard.Of(1)}, []string{}},
		{"two values of one attribute", []fxqualifier.Qualifier{Shard.Of(1), Shard.Of(2)}, []string{}},
		{"an unknown value", []fxqualifier.Qualifier{Kind.Of("pager")}, []string{}},
		{"an unknown attribute", []fxqualifier.Qualifier{fxqualifier.NewAttribute[string]("size").Of("mail")}, []string{}},
		{"the same number of another type", []fxqualifier.Qualifier{fxqualifier.NewAttribute[int64]("shard").Of(1)}, []string{}},
		{"the same number as text", []fxqualifier.Qualifier{fxqualifier.NewAttribute[string]("shard").Of("1")}, []string{}},
		{"the zero Qualifier", []fxqualifier.Qualifier{{}}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, hellos(t, set, tt.asks...))
			h, err := set.Get(t.Context(), tt.asks...)
			switch len(tt.want) {
			case 0:
				assert.ErrorIs(t, err, fxqualifier.ErrNotFound)
				assert.NotErrorIs(t, err, fxqualifier.ErrAmbiguous)
			case 1:
				require.NoError(t, err)
				assert.Equal(t, tt.want[0], h.Hello())
				return
			default:
				assert.ErrorIs(t, err, fxqualifier.ErrAmbiguous)
				assert.NotErrorIs(t, err, fxqualifier.ErrNotFound)
			}
			assert.Nil(t, h)
		})
	}
}

// Q1: whatever the index does, it finds what going through all members finds.
func TestQ1_lookup_agrees_with_a_linear_search(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// More attributes than one, and more than are gone through one by one.
		count := rapid.IntRange(1, 12).Draw(t, "attributes")
		qualifier := rapid.Custom(func(t *rapid.T) fxqualifier.Qualifier {
			i := rapid.IntRange(0, count-1).Draw(t, "attribute")
			value := rapid.IntRange(0, 2).Draw(t, "value")
			if i%2 == 0 {
				return fxqualifier.NewAttribute[int](fmt.Sprint(i)).Of(value)
			}
			return fxqualifier.NewAttribute[string](fmt.Sprint(i)).Of(fmt.Sprint(value))
		})
		attribute := func(q fxqualifier.Qualifier) string { name, _, _ := strings.Cut(q.String(), "="); return name }
		lists := rapid.SliceOfNDistinct(rapid.SliceOfNDistinct(qualifier, 0, 4, attribute), 0, 40,
			func(qs []fxqualifier.Qualifier) string { return fxqualifier.Name(qs...) }).Draw(t, "members")
		var members []fxqualifier.Member[int]
		for i, qs := range lists {
			members = append(members, fxqualifier.Member[int]{Qualifiers: qs, Value: i})
		}
		set, err := fxqualifier.NewSet(members...)
		if err != nil {
			t.Fatal(err)
		}
		asks := rapid.SliceOfN(qualifier, 0, 3).Draw(t, "asks")
		var want, got []int
		for i, qs := range lists {
			if !slices.ContainsFunc(asks, func(q fxqualifier.Qualifier) bool { return !slices.Contains(qs, q) }) {
				want = append(want, i)
			}
		}
		for i := range set.All(context.Background(), asks...) {
			got = append(got, i)
		}
		if !slices.Equal(want, got) {
			t.Fatalf("asked %v of %v: got %v, want %v", asks, lists, got, want)
		}
		one, err := set.Get(context.Background(), asks...)
		switch {
		case len(want) == 0 && !errors.Is(err, fxqualifier.ErrNotFound),
			len(want) > 1 && !errors.Is(err, fxqualifier.ErrAmbiguous),
			len(want) == 1 && (err != nil || one != want[0]):
			t.Fatalf("asked %v of %v: got %v, %v, want %v", asks, lists, one, err, want)
		}
	})
}

// Q1
func TestQ1_many_members_may_share_a_value(t *testing.T) {
	t.Parallel()
	var members []fxqualifier.Member[Hello]
	var want []string
	for i := range 10 {
		members = append(members, member(fmt.Sprint(i), Kind.Of("same"), Shard.Of(i)))
		want = append(want, fmt.Sprint(i))
	}
	set := newSet(t, members...)
	assert.Equal(t, want, hellos(t, set, Kind.Of("same")))
	assert.Equal(t, []string{"7"}, hellos(t, set, Kind.Of("same"), Shard.Of(7)))
}

// Q1
func TestQ1_members_may_have_many_attributes(t *testing.T) {
	t.Parallel()
	var members []fxqualifier.Member[Hello]
	var last []fxqualifier.Qualifier
	for i := range 50 {
		last = append(last, fxqualifier.NewAttribute[string](fmt.Sprint(i)).Of("x"))
		members = append(members, member(fmt.Sprint(i), last[i]))
	}
	set := newSet(t, append(members, member("all", append(last, Kind.Of("all"))...))...)
	for i := range last {
		assert.Equal(t, []string{fmt.Sprint(i), "all"}, hellos(t, set, last[i]))
	}
	assert.Equal(t, []string{"all"}, hellos(t, set, last...))
	assert.Empty(t, hellos(t, set, Region.Of("x")))
}

func TestSet_Members_are_the_qualifiers_as_they_were_given(t *testing.T) {
	t.Parallel()
	want := [][]fxqualifier.Qualifier{{Region.Of("eu"), Kind.Of("mail")}, nil, {Shard.Of(1)}}
	set := newSet(t, member("a", Region.Of("eu"), Kind.Of("mail")), member("b"), member("c", Shard.Of(1)))
	got := set.Members()
	assert.Equal(t, want, got)
	got[0][0] = Shard.Of(9)
	assert.Equal(t, want, set.Members(), "whoever changes what Members returned changes nothing else")
}

func TestSet_does_not_keep_the_slices_it_is_given(t *testing.T) {
	t.Parallel()
	qs := []fxqualifier.Qualifier{Kind.Of("a")}
	set := newSet(t, member("a", qs...), member("b", Kind.Of("b")))
	asks := []fxqualifier.Qualifier{Kind.Of("a")}
	all := set.All(t.Context(), asks...)
	_, err := set.Get(t.Context(), Kind.Of("c"), asks[0])
	qs[0], asks[0] = Kind.Of("z"), Kind.Of("b")
	for h := range all {
		assert.Equal(t, "a", h.Hello())
	}
	assert.Equal(t, "kind=a", fxqualifier.Name(set.Members()[0]...))
	assert.NotContains(t, err.Error(), "kind=z")
}

func TestSet_that_is_zero_is_empty(t *testing.T) {
	t.Parallel()
	var set fxqualifier.Set[Hello]
	assert.Empty(t, hellos(t, &set))
	_, err := set.Get(t.Context(), Kind.Of("a"))
	require.ErrorIs(t, err, fxqualifier.ErrNotFound)
	assert.Equal(t, "fxqualifier: get app.Hello[kind=a], asked for at set_test.go:N: not found: no app.Hello was provided with fxqualifier.Provide", short(err))
	assert.Empty(t, set.Members())
	empty := newSet(t)
	assert.Empty(t, hellos(t, empty, Kind.Of("a")))
}

// Q6
func TestQ6_a_member_with_Get_is_resolved_each_time_with_the_context_of_who_asks(t *testing.T) {
	t.Parallel()
	type key struct{}
	set := newSet(t, fxqualifier.Member[Hello]{
		Qualifiers: []fxqualifier.Qualifier{Kind.Of("dynamic")},
		Value:      named("not this"),
		Get:        func(ctx context.Context) (Hello, error) { return named(ctx.Value(key{}).(string)), nil },
	})
	for _, want := range []string{"one", "two"} {
		ctx := context.WithValue(t.Context(), key{}, want)
		h, err := set.Get(ctx, Kind.Of("dynamic"))
		require.NoError(t, err)
		assert.Equal(t, want, h.Hello())
		for h, err := range set.All(ctx) {
			require.NoError(t, err)
			assert.Equal(t, want, h.Hello())
		}
	}
}

// G6: a Set may be used from many goroutines.
func TestSet_is_safe_for_concurrent_use(t *testing.T) {
	t.Parallel()
	set := newSet(t, member("a", Kind.Of("a")), member("b", Kind.Of("b")))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				h, err := set.Get(t.Context(), Kind.Of("a"))
				assert.NoError(t, err)
				assert.Equal(t, "a", h.Hello())
				_, err = set.Get(t.Context())
				assert.ErrorContains(t, err, "2 members match")
				assert.Len(t, hellos(t, set), 2)
				assert.Len(t, set.Members(), 2)
			}
		})
	}
	wg.Wait()
}

// Q3
func TestQ3_NewSet_refuses_what_Collect_would(t *testing.T) {
	t.Parallel()
	_, err := fxqualifier.NewSet(
		member("a", Kind.Of("a"), Shard.Of(1)),
		member("b", Kind.Of("x"), Kind.Of("y")),
		member("c", fxqualifier.NewAttribute[int64]("shard").Of(2)),
		member("d", Shard.Of(1), Kind.Of("a")),
		member("e", fxqualifier.Qualifier{}),
		member("f", fxqualifier.NewAttribute[string]("").Of("x")),
	)
	require.Error(t, err)
	assert.Equal(t, strings.Join([]string{
		`fxqualifier: member 2 of NewSet (set_test.go:N): attribute "kind" is given twice, as kind=x and as kind=y: a member has one value in each attribute`,
		`fxqualifier: member 5 of NewSet (set_test.go:N): a qualifier has no attribute: make attributes with NewAttribute and a name`,
		`fxqualifier: member 6 of NewSet (set_test.go:N): a qualifier has no attribute: make attributes with NewAttribute and a name`,
		`fxqualifier: app.Hello[kind=a,shard=1] is provided 2 times, and qualifiers must tell its members apart: by member 1 of NewSet (set_test.go:N) and by member 4 of NewSet (set_test.go:N)`,
		`fxqualifier: attribute "shard" must have one type of value, and is used with 2: int by member 1 of NewSet (set_test.go:N) and int64 by member 3 of NewSet (set_test.go:N)`,
	}, "\n"), short(err))
}

// Q3
func TestQ3_several_errors_read_the_same_in_every_run(t *testing.T) {
	t.Parallel()
	var members []fxqualifier.Member[Hello]
	for i := range 10 {
		members = append(members, member("a", Shard.Of(i)), member("b", Shard.Of(i)))
		members = append(members, member("c", fxqualifier.NewAttribute[string](fmt.Sprint(i)).Of("")), member("d", fxqualifier.NewAttribute[int](fmt.Sprint(i)).Of(0)))
	}
	_, first := fxqualifier.NewSet(members...)
	require.Error(t, first)
	assert.Equal(t, 20, strings.Count(first.Error(), "fxqualifier: "))
	for range 10 {
		_, err := fxqualifier.NewSet(members...)
		assert.Equal(t, lineNumber.ReplaceAllString(first.Error(), ""), lineNumber.ReplaceAllString(err.Error(), ""))
	}
}
