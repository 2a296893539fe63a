package fxconfig_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxconfig"
)

func TestC1_a_later_source_wins(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	for _, tt := range []struct {
		name   string
		layers []string
		want   any
	}{
		{"mappings merge deeply", []string{"a: {b: {c: 1, d: 2}, e: 3}", "a: {b: {d: 4, f: 5}}"}, m{"a": m{"b": m{"c": 1, "d": 4, "f": 5}, "e": 3}}},
		{"through three layers", []string{"a: {b: 1}", "a: {c: 2}", "a: {b: 3}"}, m{"a": m{"b": 3, "c": 2}}},
		{"a scalar is replaced", []string{"a: 1", "a: two"}, m{"a": "two"}},
		{"a list is replaced whole", []string{"a: [1, 2, 3]", "a: [4]"}, m{"a": []any{4}}},
		{"also by an empty one", []string{"a: [1, 2, 3]", "a: []"}, m{"a": []any{}}},
		{"mappings in a list do not merge", []string{"a: [{b: 1}]", "a: [{c: 2}]"}, m{"a": []any{m{"c": 2}}}},
		{"null clears a scalar", []string{"a: 1", "a: null"}, m{"a": nil}},
		{"null clears a mapping", []string{"a: {b: 1}", "a: ~"}, m{"a": nil}},
		{"a key without a value is null", []string{"a: {b: 1}", "a:"}, m{"a": nil}},
		{"what was cleared begins anew", []string{"a: {b: 1}", "a: null", "a: {c: 2}"}, m{"a": m{"c": 2}}},
		{"an empty mapping clears nothing", []string{"a: {b: 1}", "a: {}"}, m{"a": m{"b": 1}}},
		{"a scalar replaces a mapping", []string{"a: {b: 1}", "a: 2"}, m{"a": 2}},
		{"a mapping replaces a scalar", []string{"a: 2", "a: {b: 1}"}, m{"a": m{"b": 1}}},
		{"a list replaces a mapping", []string{"a: {b: 1}", "a: [1]"}, m{"a": []any{1}}},
		{"a mapping replaces a list", []string{"a: [1]", "a: {b: 1}"}, m{"a": m{"b": 1}}},
		{"an empty layer changes nothing", []string{"a: 1", "", "# only a comment", "---\n", "null"}, m{"a": 1}},
		{"keys keep their case", []string{"a: {Key: 1}", "a: {key: 2}"}, m{"a": m{"Key": 1, "key": 2}}},
		{"aliases merge as what they stand for", []string{"x: &x {b: 1}\na: *x", "y: &y {c: 2}\na: *y"}, m{"x": m{"b": 1}, "y": m{"c": 2}, "a": m{"b": 1, "c": 2}}},
		{"an alias is not changed by what is laid over another", []string{"x: &x {b: 1}\na: *x\nd: *x", "a: {b: 2}"}, m{"x": m{"b": 1}, "a": m{"b": 2}, "d": m{"b": 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, tree(t, load(t, tt.layers...)))
		})
	}
}

func TestC1_sections_merge_as_layers_do(t *testing.T) {
	t.Parallel()
	c := load(t, `
default: {tags: [a, b], tls: {ca: x, cert: y}, retries: 3}
clients:
  main: {tags: [c], tls: {cert: z}, retries: null}
  empty: {}
  nothing:
`)
	type config struct {
		Tags    []string
		TLS     map[string]string
		Retries int
	}
	for _, tt := range []struct {
		name  string
		paths []string
		want  config
	}{
		{"a later section wins", []string{"default", "clients.main"}, config{[]string{"c"}, map[string]string{"ca": "x", "cert": "z"}, 0}},
		{"whatever their order in the file", []string{"clients.main", "default"}, config{[]string{"a", "b"}, map[string]string{"ca": "x", "cert": "y"}, 3}},
		{"an empty one adds nothing", []string{"default", "clients.empty"}, config{[]string{"a", "b"}, map[string]string{"ca": "x", "cert": "y"}, 3}},
		{"nor does one that is null", []string{"default", "clients.nothing"}, config{[]string{"a", "b"}, map[string]string{"ca": "x", "cert": "y"}, 3}},
		{"nor one that is absent", []string{"default", "clients.other"}, config{[]string{"a", "b"}, map[string]string{"ca": "x", "cert": "y"}, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got config
			require.NoError(t, c.Decode(&got, tt.paths...))
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestFill_lays_the_section_above_what_is_there(t *testing.T) {
	t.Parallel()
	type inner struct{ A, B int }
	type config struct {
		Kept, Set, Cleared int
		List               []int
		Map                map[string]inner
		Pointer            *inner
		Struct             inner
		Array              [2]inner
	}
	shared := &inner{A: 1, B: 2}
	sharedMap := map[string]inner{"x": {A: 1, B: 2}, "y": {A: 3}}
	got := config{Kept: 1, Set: 2, Cleared: 3, List: []int{1, 2}, Map: sharedMap, Pointer: shared, Struct: inner{A: 5, B: 6}, Array: [2]inner{{A: 1}, {B: 2}}}
	c := load(t, "{set: 7, cleared: null, list: [9], map: {x: {b: 8}, z: {}}, pointer: {b: 8}, struct: {a: 9}, array: [{b: 3}, {}]}")
	require.NoError(t, c.Fill(&got))
	assert.Equal(t, config{
		Kept: 1, Set: 7, List: []int{9},
		Map:     map[string]inner{"x": {A: 1, B: 8}, "y": {A: 3}, "z": {}},
		Pointer: &inner{A: 1, B: 8}, Struct: inner{A: 9, B: 6}, Array: [2]inner{{B: 3}},
	}, got)
	assert.Equal(t, &inner{A: 1, B: 2}, shared, "a default behind a pointer stays what it is for others")
	assert.Equal(t, map[string]inner{"x": {A: 1, B: 2}, "y": {A: 3}}, sharedMap, "and so does one in a map")
}

// The model of C1 in a few lines: merging trees is merging Go maps.
func TestC1_merging_is_as_merging_maps(t *testing.T) {
	t.Parallel()
	var overlay func(base, over any) any
	overlay = func(base, over any) any {
		b, isMap := base.(map[string]any)
		o, isMap2 := over.(map[string]any)
		if !isMap || !isMap2 {
			return over
		}
		out := map[string]any{}
		for k, v := range b {
			out[k] = v
		}
		for k, v := range o {
			if old, ok := out[k]; ok {
				v = overlay(old, v)
			}
			out[k] = v
		}
		return out
	}
	key := rapid.SampledFrom([]string{"a", "b", "c", "d.e", ""})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		leaves := []*rapid.Generator[any]{
			rapid.Just[any](nil), rapid.Int().AsAny(), rapid.Bool().AsAny(), rapid.String().AsAny(),
			rapid.SliceOfN(rapid.Int().AsAny(), 0, 3).AsAny(),
		}
		if depth > 0 {
			m := rapid.MapOfN(key, value(depth-1), 0, 4).AsAny()
			leaves = append(leaves, m, m, m)
		}
		return rapid.OneOf(leaves...)
	}
	document := rapid.MapOfN(key, value(3), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		var sources []fxconfig.Source
		var want any
		for i := range rapid.IntRange(1, 4).Draw(t, "layers") {
			d := any(document.Draw(t, fmt.Sprintf("layer %d", i)))
			sources = append(sources, fxconfig.Value("", d))
			if want == nil {
				want = d
			} else {
				want = overlay(want, d)
			}
		}
		c, err := fxconfig.Load(sources...)
		require.NoError(t, err)
		var got any
		require.NoError(t, c.Fill(&got))
		require.Equal(t, want, got)
	})
}
