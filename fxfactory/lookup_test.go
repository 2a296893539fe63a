package fxfactory_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxfactory"
)

func TestF3_the_default_instance_is_decided_once_from_configuration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		configured string
		clients    clients
		want       string
	}{
		{"the name that is set", "b", these("a", "b", "default"), "b"},
		{"else default", "", these("a", "default"), "default"},
		{"else the only one", "", these("a"), "a"},
		{"else none, of several", "", these("a", "b"), ""},
		{"else none, of none", "", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFactory(t, &account{}, settings{Clients: tt.clients, DefaultName: tt.configured})
			assert.Equal(t, tt.want, f.DefaultName())
			check := func() {
				got, err := f.Default()
				if tt.want == "" {
					require.ErrorIs(t, err, fxfactory.ErrNotFound)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.want, got.name)
			}
			check()
			// What comes later decides nothing.
			for _, name := range []string{"default", "z"} {
				if !f.Has(name) {
					_, err := f.Create(t.Context(), name, nil)
					require.NoError(t, err)
				}
			}
			check()
		})
	}
}

func TestF3_a_default_name_must_exist(t *testing.T) {
	t.Parallel()
	f, err := fxfactory.New(t.Context(), "http", (&account{}).spec(), settings{Clients: these("main", "audit"), DefaultName: "maim"})
	assert.Nil(t, f)
	assert.EqualError(t, err, `fxfactory: configure http: in DefaultName: no instance "maim" (did you mean "main"?); known: "audit", "main"`)
}

func TestF3_without_a_default_the_error_says_how_to_get_one(t *testing.T) {
	t.Parallel()
	f := newFactory(t, &account{}, settings{Clients: these("a", "b")})
	_, err := f.Default()
	assert.EqualError(t, err, `fxfactory: get the default of http: no such instance: `+
		`none is called "default" and there is not just one; set defaultClientName to one of "a", "b"`)
}

func TestF3_a_default_that_was_removed_is_not_found(t *testing.T) {
	t.Parallel()
	f := newFactory(t, &account{}, settings{Clients: these("a")})
	require.NoError(t, f.Remove(t.Context(), "a"))
	_, err := f.Default()
	assert.ErrorIs(t, err, fxfactory.ErrNotFound)
}

func TestF7_an_unknown_name_lists_the_known_ones_and_the_nearest(t *testing.T) {
	t.Parallel()
	f := newFactory(t, &account{}, settings{Clients: these("audit", "main")})
	for _, tt := range []struct{ given, want string }{
		{"audti", `fxfactory: get http "audti": no such instance (did you mean "audit"?); known: "audit", "main"`},
		{"xyz", `fxfactory: get http "xyz": no such instance; known: "audit", "main"`},
		{"", `fxfactory: get http "": no such instance; known: "audit", "main"`},
	} {
		got, err := f.Get(tt.given)
		assert.Nil(t, got)
		assert.EqualError(t, err, tt.want)
		assert.ErrorIs(t, err, fxfactory.ErrNotFound)
		_, err = f.Config(tt.given)
		assert.ErrorIs(t, err, fxfactory.ErrNotFound)
		assert.False(t, f.Has(tt.given))
	}
}

func TestF7_many_known_names_are_counted(t *testing.T) {
	t.Parallel()
	all := clients{}
	for i := range 100 {
		all[fmt.Sprintf("client-%03d", i)] = nil
	}
	f := newFactory(t, &account{}, settings{Clients: all})
	_, err := f.Get("client-0999")
	require.ErrorContains(t, err, `(did you mean "client-099"?)`)
	assert.ErrorContains(t, err, `"client-019" and 80 more`)
	assert.NotContains(t, err.Error(), "client-020")
}

func TestLookups_agree(t *testing.T) {
	t.Parallel()
	f := newFactory(t, &account{}, settings{Clients: these("b", "a", "c")})
	assert.Equal(t, "http", f.Name())
	assert.Equal(t, []string{"a", "b", "c"}, f.Names())
	assert.Equal(t, 3, f.Len())
	names := f.Names()
	names[0] = "changed"
	assert.Equal(t, []string{"a", "b", "c"}, f.Names(), "the slice is the caller's")

	snapshot := f.All()
	require.NoError(t, f.Remove(t.Context(), "b"))
	var got []string
	for name, c := range snapshot {
		assert.Equal(t, name, c.name)
		got = append(got, name)
	}
	assert.Equal(t, []string{"a", "b", "c"}, got, "All is of the time of the call")
	for name := range f.All() {
		assert.Equal(t, "a", name)
		break
	}
}

// The table has a base and an overlay, dead entries, and a rebuild now and then; whatever happens to it, it is a map.
func TestLookups_are_those_of_a_map(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := &account{}
		configured := rapid.IntRange(0, 30).Draw(t, "configured")
		model := map[string]string{}
		all := clients{}
		for i := range configured {
			all[strconv.Itoa(i)] = func(c *config) { c.URL = "configured" }
			model[strconv.Itoa(i)] = "configured"
		}
		ctx := context.Background()
		f, err := fxfactory.New(ctx, "http", a.spec(), settings{Clients: all}, fxfactory.RetireAfter(0), quiet)
		require.NoError(t, err)
		name := rapid.Custom(func(t *rapid.T) string { return strconv.Itoa(rapid.IntRange(0, 40).Draw(t, "name")) })
		steps := 0
		url := func() func(*config) {
			steps++
			return func(c *config) { c.URL = strconv.Itoa(steps) }
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				n := name.Draw(t, "name")
				_, err := f.Create(ctx, n, url())
				if _, ok := model[n]; ok {
					require.ErrorIs(t, err, fxfactory.ErrExists)
					return
				}
				require.NoError(t, err)
				model[n] = strconv.Itoa(steps)
			},
			"get or create": func(t *rapid.T) {
				n := name.Draw(t, "name")
				_, err := f.GetOrCreate(ctx, n, url())
				require.NoError(t, err)
				if _, ok := model[n]; !ok {
					model[n] = strconv.Itoa(steps)
				}
			},
			"replace": func(t *rapid.T) {
				n := name.Draw(t, "name")
				_, err := f.Replace(ctx, n, url())
				if _, ok := model[n]; !ok {
					require.ErrorIs(t, err, fxfactory.ErrNotFound)
					return
				}
				require.NoError(t, err)
				model[n] = strconv.Itoa(steps)
			},
			"remove": func(t *rapid.T) {
				n := name.Draw(t, "name")
				err := f.Remove(ctx, n)
				if _, ok := model[n]; !ok {
					require.ErrorIs(t, err, fxfactory.ErrNotFound)
					return
				}
				require.NoError(t, err)
				delete(model, n)
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), f.Len())
				require.Equal(t, slices.Sorted(maps.Keys(model)), append([]string(nil), f.Names()...))
				for i := range 41 {
					n := strconv.Itoa(i)
					c, err := f.Get(n)
					if want, ok := model[n]; ok {
						require.NoError(t, err)
						require.Equal(t, want, c.config.URL)
						require.False(t, c.dead())
					} else {
						require.ErrorIs(t, err, fxfactory.ErrNotFound)
					}
				}
			},
		})
		require.NoError(t, f.Stop(ctx))
		a.balanced(t)
	})
}

func TestF10_a_removed_instance_is_let_go(t *testing.T) {
	t.Parallel()
	type big struct{ _ [1 << 10]byte }
	f, err := fxfactory.New(t.Context(), "big", fxfactory.Spec[*big, config]{
		Create: func(context.Context, string, config) (*big, error) { return &big{}, nil },
	}, settings{Clients: these("a", "b")}, fxfactory.RetireAfter(0))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Stop(context.Background())) })
	var gone []weak.Pointer[big]
	for i := range 500 {
		old, err := f.Create(t.Context(), strconv.Itoa(i), nil)
		require.NoError(t, err)
		gone = append(gone, weak.Make(old))
		require.NoError(t, f.Remove(t.Context(), strconv.Itoa(i)))
	}
	runtime.GC()
	kept := 0
	for _, p := range gone {
		if p.Value() != nil {
			kept++
		}
	}
	assert.Less(t, kept, 50, "lookups hold on to a few at most")
	runtime.KeepAlive(f)
}

// A reader that has an old table, and finds its instance replaced, looks into the new one.
func TestF10_a_reader_is_never_between_two_instances(t *testing.T) {
	t.Parallel()
	a := 0
	f, err := fxfactory.New(t.Context(), "int", fxfactory.Spec[int, config]{
		Create: func(context.Context, string, config) (int, error) { a++; return a, nil },
	}, settings{Clients: these("a")}, fxfactory.RetireAfter(0))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Stop(context.Background())) })
	reading, stop := make(chan struct{}), make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		last := 0
		close(reading)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for range 100 {
				now, err := f.Get("a")
				if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, now, last, "never back to an older one") {
					return
				}
				last = now
			}
		}
	})
	<-reading
	for range 2000 {
		_, err := f.Replace(t.Context(), "a", nil)
		require.NoError(t, err)
	}
	close(stop)
	reader.Wait()
}

func TestF16_Get_does_not_allocate(t *testing.T) {
	f := newFactory(t, &account{}, settings{Clients: these("a", "b")})
	_, err := f.Create(t.Context(), "later", nil)
	require.NoError(t, err)
	for _, name := range []string{"a", "later"} {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			if c, err := f.Get(name); c == nil || err != nil {
				t.Error(err)
			}
		}), name)
	}
}
