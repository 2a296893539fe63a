package fxqualifier_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxqualifier"
)

// Q6: whatever the tree of modules, All has a module's own members before those of the modules in it, each as listed.
func TestQ6_All_is_in_registration_order_in_every_consumer_and_run(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := &tree{t: t}
		options, want := tree.module(3)
		// The owner of Hello collects in a module of its own, too.
		reusable := fx.Options(options, fx.Module("owner", fxqualifier.Collect[Hello]()))
		// The Set may first be wanted by whoever: a constructor, an Invoke, an Invoke in a module.
		type consumer struct{ set *fxqualifier.Set[Hello] }
		for range 2 {
			var sets []*fxqualifier.Set[Hello]
			take := func(s *fxqualifier.Set[Hello]) { sets = append(sets, s) }
			err := build(
				fx.Module("early", fx.Invoke(take)),
				reusable,
				fx.Provide(func(s *fxqualifier.Set[Hello]) consumer { return consumer{s} }),
				fx.Invoke(take, func(c consumer) { take(c.set) }),
			)
			if err != nil {
				t.Fatal(err)
			}
			for _, set := range sets {
				var got []string
				for h, err := range set.All(context.Background()) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, h.Hello())
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("got %v, want %v of %v", got, want, options)
				}
			}
		}
	})
}

// A tree draws options, and knows the order in which Fx registers them.
type tree struct {
	t *rapid.T
	n int
}

func (tr *tree) module(depth int) (fx.Option, []string) {
	var options []fx.Option
	var own, inner []string
	for range rapid.IntRange(0, 4).Draw(tr.t, "options") {
		what := rapid.IntRange(0, 4).Draw(tr.t, "what")
		if depth == 0 {
			what %= 3
		}
		name := func() string { tr.n++; return fmt.Sprintf("member %d", tr.n) }
		switch what {
		case 0:
			m := name()
			options, own = append(options, fxqualifier.Provide[Hello](constant(m), Kind.Of(m))), append(own, m)
		case 1:
			m := name()
			get := func(context.Context) (Hello, error) { return named(m), nil }
			options, own = append(options, fxqualifier.Dynamic(newFoo, get, Kind.Of(m))), append(own, m)
		case 2:
			a, b := name(), name()
			options, own = append(options, fxqualifier.Instances[Hello](Kind, newOfKind, b, a)), append(own, b, a)
		case 3: // transparent
			o, names := tr.flat()
			options, own = append(options, o), append(own, names...)
		case 4:
			o, names := tr.module(depth - 1)
			options, inner = append(options, fx.Module("m", o)), append(inner, names...)
		}
	}
	return fx.Options(options...), append(own, inner...)
}

func (tr *tree) flat() (fx.Option, []string) { return tr.module(0) }

// Q6: members that want something, also Sets, stay where they were listed.
func TestQ6_what_members_depend_on_does_not_change_their_order(t *testing.T) {
	t.Parallel()
	byName := func(name string, s string) any {
		return fx.Annotate(func(h Hello) string { return "wants " + h.Hello() }, fx.ParamTags(`name:"`+name+`"`), fx.ResultTags(`name:"`+s+`"`))
	}
	type wants struct {
		fx.In
		S string `name:"s"`
	}
	type wantsSet struct {
		fx.In
		DBs *fxqualifier.Set[*DB]
	}
	set := collected[Hello](
		t,
		fx.Provide(byName("kind=c", "s")),
		fxqualifier.Provide[Hello](func(w wants) Hello { return named(w.S) }, Kind.Of("a")),
		fxqualifier.Provide[Hello](func(w wantsSet) Hello { return named(fmt.Sprint(len(w.DBs.Members()))) }, Kind.Of("b")),
		fxqualifier.Provide[Hello](constant("c"), Kind.Of("c")),
		fxqualifier.Provide[*DB](newDB, Kind.Of("x")),
		fxqualifier.Collect[*DB](),
	)
	assert.Equal(t, []string{"wants c", "1", "c"}, hellos(t, set))
}

// Q6
func TestQ6_dynamic_members_are_resolved_one_at_a_time_as_the_loop_asks(t *testing.T) {
	t.Parallel()
	var resolved []string
	dynamic := func(name string, err error) fx.Option {
		return fxqualifier.Dynamic(newFoo, func(context.Context) (Hello, error) {
			resolved = append(resolved, name)
			if err != nil {
				return named("not to be seen"), err
			}
			return named(name), nil
		}, Kind.Of(name))
	}
	set := collected[Hello](t, dynamic("a", nil), fxqualifier.Provide[Hello](newBar, Kind.Of("bar")), dynamic("b", io.EOF), dynamic("c", nil), dynamic("d", nil))
	require.Empty(t, resolved, "nobody asked")

	var got []string
	for h, err := range set.All(t.Context()) {
		if err != nil {
			assert.Nil(t, h)
			assert.ErrorIs(t, err, io.EOF)
			assert.Equal(t, "fxqualifier: get app.Hello[kind=b] of app.newFoo (fixtures_test.go:N): EOF", short(err))
			got = append(got, "an error")
			continue
		}
		got = append(got, h.Hello())
		if h.Hello() == "c" {
			break
		}
	}
	assert.Equal(t, []string{"a", "bar", "an error", "c"}, got, "the loop may go on after an error")
	assert.Equal(t, []string{"a", "b", "c"}, resolved, "what is behind the break is not resolved")

	resolved = nil
	all := set.All(t.Context(), Kind.Of("a"))
	require.Empty(t, resolved, "All alone asks for nothing")
	for range 2 {
		for range all {
		}
	}
	assert.Equal(t, []string{"a", "a"}, resolved, "a sequence may be ranged over again, and resolves again")
}

// A request stands for a scope: it builds each object once.
type request struct {
	counters map[string]*counter
}

type counter struct {
	name string
	n    int
}

func (c *counter) Hello() string {
	c.n++
	return fmt.Sprintf("%s %d", c.name, c.n-1)
}

type requestKey struct{}

// scoped is what a package of request scopes makes of Dynamic.
func scoped(name string) fx.Option {
	constructor := func() *counter { return &counter{name: name} }
	return fxqualifier.Dynamic[Hello](constructor, func(ctx context.Context) (Hello, error) {
		r, ok := ctx.Value(requestKey{}).(*request)
		if !ok {
			return nil, errNoRequest
		}
		if r.counters[name] == nil {
			r.counters[name] = constructor()
		}
		return r.counters[name], nil
	}, Kind.Of(name), Region.Of("request"))
}

var errNoRequest = fmt.Errorf("no request")

// Q7
func TestQ7_one_set_serves_singletons_and_members_that_live_in_a_request(t *testing.T) {
	t.Parallel()
	singleton := func(name string) fx.Option {
		return fxqualifier.Provide[Hello](func() *counter { return &counter{name: name} }, Kind.Of(name), Region.Of("application"))
	}
	set := collected[Hello](t, singleton("foo"), scoped("foo"), scoped("bar"), singleton("bar"))
	for _, want := range [][]string{
		{"foo 0", "foo 0", "bar 0", "bar 0"},
		{"foo 1", "foo 0", "bar 0", "bar 1"},
	} {
		ctx := context.WithValue(t.Context(), requestKey{}, &request{make(map[string]*counter)})
		var got []string
		for h, err := range set.All(ctx) {
			require.NoError(t, err)
			got = append(got, h.Hello())
		}
		assert.Equal(t, want, got)
		h, err := set.Get(ctx, Kind.Of("bar"), Region.Of("request"))
		require.NoError(t, err)
		assert.Equal(t, "bar 1", h.Hello(), "the same object as in the loop")
	}
	_, err := set.Get(t.Context(), Kind.Of("bar"), Region.Of("request"))
	require.ErrorIs(t, err, errNoRequest)
	assert.Equal(t, "fxqualifier: get app.Hello[kind=bar,region=request] of app.scoped.func1 (order_test.go:N): no request", short(err))
	h, err := set.Get(t.Context(), Kind.Of("bar"), Region.Of("application"))
	require.NoError(t, err)
	assert.Equal(t, "bar 2", h.Hello(), "a singleton needs no request")
}
