package fxconfig_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
)

func TestC4_anchors_aliases_and_merge_keys_work(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	for _, tt := range []struct {
		name, yaml string
		want       any
	}{
		{"an alias of a scalar", "a: &x 1\nb: *x", m{"a": 1, "b": 1}},
		{"of a list", "a: &x [1]\nb: *x", m{"a": []any{1}, "b": []any{1}}},
		{"as a key", "a: &x k\n*x : 2", m{"a": "k", "k": 2}},
		{"an anchor set anew", "a: &x 1\nb: *x\nc: &x 2\nd: *x", m{"a": 1, "b": 1, "c": 2, "d": 2}},
		{"<<", "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", m{"a": m{"p": 1, "q": 2}, "b": m{"p": 1, "q": 3}}},
		{"<< after the key it yields to", "a: &x {p: 1, q: 2}\nb: {q: 3, <<: *x}", m{"a": m{"p": 1, "q": 2}, "b": m{"p": 1, "q": 3}}},
		{"<< of several, the first wins", "a: &x {p: 1}\nb: &y {p: 2, q: 3}\nc: {<<: [*x, *y]}", m{"a": m{"p": 1}, "b": m{"p": 2, "q": 3}, "c": m{"p": 1, "q": 3}}},
		{"<< of a << ", "a: &x {p: 1}\nb: &y {<<: *x, q: 2}\nc: {<<: *y}", m{"a": m{"p": 1}, "b": m{"p": 1, "q": 2}, "c": m{"p": 1, "q": 2}}},
		{"<< is not deep", "a: &x {p: {r: 1}}\nb: {<<: *x, p: {s: 2}}", m{"a": m{"p": m{"r": 1}}, "b": m{"p": m{"s": 2}}}},
		{"<< of a mapping written there", "b: {<<: {p: 1}, q: 2}", m{"b": m{"p": 1, "q": 2}}},
		{"<< of nothing", "b: {<<: [], q: 2}", m{"b": m{"q": 2}}},
		{"<< in quotes is a key", "b: {\"<<\": 1}", m{"b": m{"<<": 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := load(t, tt.yaml)
			assert.Equal(t, tt.want, tree(t, c))
			var reference any
			require.NoError(t, yaml.Unmarshal([]byte(tt.yaml), &reference))
			assert.Equal(t, tt.want, reference, "yaml.v3 agrees")
		})
	}
	c := load(t, "a: &x {p: 1, q: 2}\nb:\n  r: 0\n  <<: *x\n  s: 4\n")
	assert.Equal(t, []string{"r", "p", "q", "s"}, c.Keys("b"))
	assert.Equal(t, "config.yaml:1:8", c.Origin("b.p"), "where it is written")
	var got struct {
		B struct{ P, Q, R, S bool }
	}
	assert.ErrorContains(t, c.Decode(&got, ""), "config.yaml:1:11: b.p: expected true or false")
}

func TestC6_absent_and_empty_sections_are_zero_and_Has_tells_them_apart(t *testing.T) {
	t.Parallel()
	c := load(t, "empty:\nnull: null\nmapping: {}\nlist: []\nzero: 0\nfull: {a: 1, b: [x, {c: ''}]}\n\"dot.ted\": {\"\": 1}\n")
	for _, path := range []string{"empty", "null", "mapping", "absent", "absent.deeper", "empty.deeper", "zero.deeper", "full.b.5"} {
		got, err := fxconfig.Get[struct{ A int }](c, path)
		require.NoError(t, err, path)
		assert.Zero(t, got, path)
		ptr, err := fxconfig.Get[*struct{ A int }](c, path)
		require.NoError(t, err, path)
		assert.Equal(t, path == "mapping", ptr != nil, path)
	}
	for path, want := range map[string]bool{
		"": true, "empty": true, "null": true, "mapping": true, "list": true, "zero": true, "full": true, "full.a": true, "full.b.0": true, "full.b.1.c": true,
		"absent": false, "empty.x": false, "zero.x": false, "full.x": false, "full.b.2": false, "full.b.-1": false, "full.b.x": false, "Full": false,
		`"dot.ted"`: true, "dot.ted": false, `"dot.ted".""`: true, `"full".a`: true,
	} {
		assert.Equal(t, want, c.Has(path), path)
	}
	for _, empty := range []*fxconfig.Config{nil, {}, load(t, ""), load(t, "null"), load(t, "---"), load(t, "# nothing")} {
		assert.False(t, empty.Has(""))
		assert.False(t, empty.Has("a"))
		assert.Empty(t, empty.Origin("a"))
		assert.Nil(t, empty.Keys(""))
		got := struct{ A int }{A: 5}
		require.NoError(t, empty.Decode(&got))
		assert.Equal(t, 5, got.A)
	}
	assert.Equal(t, []string{"empty", "null", "mapping", "list", "zero", "full", "dot.ted"}, c.Keys(""))
	assert.Nil(t, c.Keys("list"))
	assert.Equal(t, []string{}, c.Keys("mapping"))
}

func TestKeys_are_in_file_order(t *testing.T) {
	t.Parallel()
	c := load(t, "{z: 1, a: 2, m: 3}", "{b: 4, a: 5, y: 6}")
	assert.Equal(t, []string{"z", "a", "m", "b", "y"}, c.Keys(""))
}

func TestDecode_a_document_need_not_be_a_mapping(t *testing.T) {
	t.Parallel()
	var list []int
	require.NoError(t, decode("[1, 2]", &list))
	assert.Equal(t, []int{1, 2}, list)
	n, err := fxconfig.Get[int](load(t, "5"), "")
	require.NoError(t, err)
	assert.Equal(t, 5, n)
	assert.EqualError(t, decode("x", &list), "config.yaml:1:1: expected a list, found text")
}

func TestC7_a_config_is_read_by_many_and_shares_nothing(t *testing.T) {
	t.Parallel()
	c := load(t, `
x: &x {map: {a: [1, 2]}, list: [{b: 1}], text: "${FXC_NO:y}", any: {deep: [1]}, bytes: !!binary aGk=}
y: *x
z: {<<: *x, text: own}
`)
	type config struct {
		Map   map[string][]int
		List  []map[string]int
		Text  string
		Any   any
		Bytes []byte
	}
	fresh := func() config {
		return config{map[string][]int{"a": {1, 2}}, []map[string]int{{"b": 1}}, "y", map[string]any{"deep": []any{1}}, []byte("hi")}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				var got, other config
				assert.NoError(t, c.Decode(&got, "x", "y"))
				assert.NoError(t, c.Decode(&other, "z", "x"))
				assert.Equal(t, fresh(), got)
				got.Map["a"][0], got.Map["new"] = 9, nil
				got.List[0]["b"] = 9
				got.Any.(map[string]any)["deep"].([]any)[0] = 9
				got.Bytes[0] = 'x'
				assert.Equal(t, fresh(), other)
				keys := c.Keys("z")
				assert.Equal(t, []string{"map", "list", "any", "bytes", "text"}, keys)
				keys[0] = "x"
				assert.Equal(t, "config.yaml:4:13", c.Origin("z.text"))
			}
		})
	}
	wg.Wait()
}
