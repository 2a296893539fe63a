package fxconfig_test

import (
	"fmt"
	"math"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
)

type Base struct {
	Host string
	Port int
}

type base struct{ Zone string }

type Deep struct {
	Base `yaml:",inline"`
	Rack string
}

func TestDecode_fills_every_shape_of_struct(t *testing.T) {
	t.Parallel()
	type shapes struct {
		Deep       `yaml:",inline"` // inline in inline
		base       `yaml:",inline"` // unexported, yet its fields are not
		*tlsConfig `yaml:"tls"`     // an unexported embedded pointer is no field: it cannot be set
		Named      Base             // a mapping of its own
		Pointer    *Base            //
		Twice      **int            //
		More       *clientInline    `yaml:",inline"`    // made when one of its keys is there
		Skipped    int              `yaml:"-"`          //
		Renamed    int              `yaml:"other,flow"` //
		LowerCased int              `yaml:",omitempty"` // lowercased
		unexported int              //
		Rest       map[string]int   `yaml:",inline"`     // what is left
		Dashed     int              `yaml:"with.dot-ok"` //
	}
	var got shapes
	c := load(t, `
host: h
port: 1
rack: r
zone: z
named: {host: n, port: 2}
pointer: {port: 3}
twice: 4
extra: e
other: 5
lowercased: 6
with.dot-ok: 7
left: 8
over: 9
`)
	require.NoError(t, c.Decode(&got))
	four := 4
	fourth := &four
	assert.Equal(t, shapes{
		Deep: Deep{Base: Base{"h", 1}, Rack: "r"}, base: base{"z"}, Named: Base{"n", 2}, Pointer: &Base{Port: 3}, Twice: &fourth,
		More: &clientInline{Extra: "e"}, Renamed: 5, LowerCased: 6, Dashed: 7, Rest: map[string]int{"left": 8, "over": 9},
	}, got)
	assert.Zero(t, got.unexported)
}

type clientInline struct{ Extra string }

func TestDecode_knows_the_keys_of_inline_structs(t *testing.T) {
	t.Parallel()
	type config struct {
		*Deep `yaml:",inline"`
		Own   int
	}
	var got config
	require.EqualError(t, decode("hots: x\nporr: 1\nown: 1", &got), `config.yaml:1:1: hots: unknown key (did you mean "host"?)
config.yaml:2:1: porr: unknown key (did you mean "port"?)`)
	got = config{}
	require.NoError(t, decode("own: 1", &got))
	assert.Nil(t, got.Deep, "an inline pointer stays nil without a key")

	shared := &Deep{Base: Base{Host: "h", Port: 1}}
	got = config{Deep: shared}
	require.NoError(t, decode("port: 2\nrack: r", &got))
	assert.Equal(t, &Deep{Base: Base{"h", 2}, Rack: "r"}, got.Deep)
	assert.Equal(t, 1, shared.Port, "and what it pointed to before is not touched")
}

func TestDecode_an_embedded_struct_without_inline_has_a_key_of_its_own(t *testing.T) {
	t.Parallel()
	var got struct{ Base }
	require.NoError(t, decode("base: {host: h}", &got))
	assert.Equal(t, "h", got.Host)
}

func TestDecode_refuses_structs_that_cannot_be(t *testing.T) {
	t.Parallel()
	type loop struct {
		*Deep `yaml:",inline"`
		Next  *loop `yaml:",inline"` //nolint:staticcheck // the point of the test
	}
	type twoMaps struct {
		A map[string]int `yaml:",inline"`
		B map[string]int `yaml:",inline"`
	}
	type intKeys struct {
		A map[int]int `yaml:",inline"`
	}
	type inlineInt struct {
		A int `yaml:",inline"`
	}
	type conflict struct {
		Deep `yaml:",inline"`
		Host string
	}
	type unexportedPointer struct {
		*base `yaml:",inline"`
	}
	for _, tt := range []struct {
		into any
		want string
	}{
		{&loop{}, "a struct cannot be inline in itself"},
		{&twoMaps{}, "two inline maps"},
		{&intKeys{}, "an inline map needs text as its key"},
		{&inlineInt{}, "only a struct or a map can be inline"},
		{&conflict{}, `two fields have the key "host"`},
		{&unexportedPointer{}, "must be exported to be set"},
	} {
		assert.ErrorContains(t, decode("a: 1", tt.into), tt.want)
	}
}

func TestDecode_a_type_may_contain_itself(t *testing.T) {
	t.Parallel()
	type tree struct {
		Name     string
		Children []tree
		ByName   map[string]*tree
	}
	var got tree
	require.NoError(t, decode("{name: a, children: [{name: b, children: [{name: c}]}], byname: {d: {name: e}}}", &got))
	assert.Equal(t, tree{"a", []tree{{"b", []tree{{Name: "c"}}, nil}}, map[string]*tree{"d": {Name: "e"}}}, got)
	assert.ErrorContains(t, decode("{children: [{}, {children: [{nam: x}]}]}", &got), `children.1.children.0.nam: unknown key (did you mean "name"?)`)
}

func TestDecode_lists_maps_and_scalars(t *testing.T) {
	t.Parallel()
	type named string
	type lists struct {
		Strings []string
		Structs []Base
		Ptrs    []*int
		Nested  [][]int
		Array   [2]Base
		Empty   []int
		Null    []int
		Bytes   []byte
		Binary  []byte
		Text    string `yaml:"text"`
		Ints    map[int]string
		Bools   map[bool]int
		Floats  map[float64]int
		Named   map[named][]named
		Times   map[time.Duration]int
		Any     map[any]any
		Addrs   map[netAddr]int
	}
	var got lists
	require.NoError(t, decode(`
strings: [a, 1, true, 1.50, 2001-01-01, 0x10, "", yes]
structs: [{host: a}, {port: 2}, ]
ptrs: [1, null]
nested: [[1], [], [2, 3]]
array: [{host: a}, {host: b}]
empty: []
null: null
bytes: text
binary: !!binary aGVsbG8=
text: !!binary aGVsbG8=
ints: {1: a, 0x10: b, -3: c}
bools: {true: 1, no: 2}
floats: {1.5: 1, 2: 2}
named: {a: [b]}
times: {1m: 1}
any: {a: 1, 2: [x]}
addrs: {10.0.0.1: 1}
`, &got))
	one := 1
	assert.Equal(t, lists{
		Strings: []string{"a", "1", "true", "1.50", "2001-01-01", "0x10", "", "yes"},
		Structs: []Base{{Host: "a"}, {Port: 2}},
		Ptrs:    []*int{&one, nil},
		Nested:  [][]int{{1}, {}, {2, 3}},
		Array:   [2]Base{{Host: "a"}, {Host: "b"}},
		Empty:   []int{},
		Bytes:   []byte("text"), Binary: []byte("hello"), Text: "hello",
		Ints:  map[int]string{1: "a", 16: "b", -3: "c"},
		Bools: map[bool]int{true: 1, false: 2}, Floats: map[float64]int{1.5: 1, 2: 2},
		Named: map[named][]named{"a": {"b"}}, Times: map[time.Duration]int{time.Minute: 1},
		Any: map[any]any{"a": 1, "2": []any{"x"}}, Addrs: map[netAddr]int{{"10.0.0.1"}: 1},
	}, got)
}

type netAddr struct{ IP string }

func (a *netAddr) UnmarshalText(text []byte) error {
	if net.ParseIP(string(text)) == nil {
		return fmt.Errorf("%q is no address", text)
	}
	a.IP = string(text)
	return nil
}

func TestDecode_reads_numbers_as_YAML_does(t *testing.T) {
	t.Parallel()
	type numbers struct {
		I   int
		I64 int64
		U   uint
		U64 uint64
		F   float64
		F32 float32
	}
	for _, tt := range []struct {
		yaml string
		want numbers
	}{
		{"{i: 0x1F, u: 0b11, f: 1}", numbers{I: 31, U: 3, F: 1}},
		{"{i: 0o17, u: 017, f: 1e3}", numbers{I: 15, U: 15, F: 1000}},
		{"{i: 1_000, u: 1_000, f: 1_000.5}", numbers{I: 1000, U: 1000, F: 1000.5}},
		{"{i: +5, i64: -0x10, f: .5, f32: -1.5}", numbers{I: 5, I64: -16, F: .5, F32: -1.5}},
		{"{i: 1e3, u: 2.0}", numbers{I: 1000, U: 2}},
		{"{i64: 9223372036854775807, u64: 18446744073709551615}", numbers{I64: math.MaxInt64, U64: math.MaxUint64}},
		{"{i64: -9223372036854775808, f: 18446744073709551615}", numbers{I64: math.MinInt64, F: 18446744073709551615}},
		{"{f: .inf, f32: -.Inf}", numbers{F: math.Inf(1), F32: float32(math.Inf(-1))}},
		{"{f: !!float 0x10, i: !!int \"7\"}", numbers{F: 16, I: 7}},
	} {
		var got numbers
		require.NoError(t, decode(tt.yaml, &got), tt.yaml)
		assert.Equal(t, tt.want, got, tt.yaml)
	}
	var nan struct{ F float64 }
	require.NoError(t, decode("f: .nan", &nan))
	assert.True(t, math.IsNaN(nan.F))
	for _, bad := range []string{"{i: 1e19}", "{i: -1e19}", "{u: -1.0}", "{i64: 9223372036854775808}", "{i: .inf}", "{u: 1.5}", "{i: .nan}", "{u64: 1e30}"} {
		var got numbers
		assert.Error(t, decode(bad, &got), bad)
		assert.Zero(t, got, bad)
	}
}

func TestDecode_map_keys_that_are_wrong_are_reported_one_by_one(t *testing.T) {
	t.Parallel()
	var got struct {
		Ints  map[int]string
		Lists map[any]int
	}
	assert.EqualError(t, decode("ints: {a: x, b: y, 3: z}", &got), `config.yaml:1:8: ints.a: expected a whole number, found "a"
config.yaml:1:14: ints.b: expected a whole number, found "b"`)
	var unhashable struct{ M map[hashless]int }
	assert.EqualError(t, decode("m: {a: 1}", &unhashable), "config.yaml:1:5: m.a: cannot be a key of fxconfig_test.hashless")
}

// hashless is comparable for the compiler, but not with what it holds.
type hashless struct{ X any }

func (h *hashless) UnmarshalText([]byte) error { h.X = []int{1}; return nil }

func TestDecode_any_is_what_yaml_calls_it(t *testing.T) {
	t.Parallel()
	document := `{a: 1, b: 1.5, c: true, d: null, e: text, f: "1", g: 2001-02-03, h: [1, {x: y}], i: !!binary aGk=, j: 18446744073709551615, k: .inf, l: yes, m: !mine foo}`
	var want, got any
	require.NoError(t, yaml.Unmarshal([]byte(document), &want))
	require.NoError(t, decode(document, &got))
	assert.Equal(t, want, got)

	var keyed any
	require.NoError(t, decode("{1: a, true: b, ~: c}", &keyed))
	assert.Equal(t, map[string]any{"1": "a", "true": "b", "~": "c"}, keyed, "keys are text")
}

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

func TestC8_durations_and_sizes_have_units(t *testing.T) {
	t.Parallel()
	var got struct {
		D    time.Duration
		P    *time.Duration
		List []time.Duration
		S    fxconfig.Size
	}
	require.NoError(t, decode("{d: 1m30s, p: 250ms, list: [1h, 0s, 0, -5s, \"3s\"], s: 4MiB}", &got))
	assert.Equal(t, 90*time.Second, got.D)
	assert.Equal(t, 250*time.Millisecond, *got.P)
	assert.Equal(t, []time.Duration{time.Hour, 0, 0, -5 * time.Second, 3 * time.Second}, got.List)
	assert.Equal(t, fxconfig.Size(4<<20), got.S)
	for _, bad := range []string{"5", "-5", "1.5", "5_000", "0x10"} {
		assert.EqualError(t, decode("d: "+bad, &got),
			fmt.Sprintf("config.yaml:1:4: d: expected a duration with its unit, such as %[1]ss or %[1]sms, found the bare number %[1]s", bad))
	}
}

func TestC8_sizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "64k": 64_000, "64K": 64_000, "64kB": 64_000, "64Ki": 65_536, "64KiB": 65_536, "4MiB": 4 << 20, "4 MiB": 4 << 20,
		"4mib": 4 << 20, "1GB": 1e9, "1G": 1e9, "1GiB": 1 << 30, "1.5GiB": 3 << 29, "0.5k": 500, "2TB": 2e12, "2TiB": 2 << 40, "3PB": 3e15, "3PiB": 3 << 50, "1EB": 1e18, "7EiB": 7 << 60,
		"9223372036854775807": math.MaxInt64,
	} {
		got, err := fxconfig.Get[fxconfig.Size](load(t, "s: "+text), "s")
		require.NoError(t, err, text)
		assert.Equal(t, fxconfig.Size(want), got, text)
		again, err := fxconfig.Get[fxconfig.Size](load(t, "s: "+got.String()), "s")
		require.NoError(t, err, got.String())
		assert.Equal(t, got, again, "what it prints reads back")
	}
	for text, want := range map[string]string{
		"-1": "expected a size", "abc": "expected a size", "4XB": "expected a size", "4MM": "expected a size", "MiB": "expected a size", "''": "expected a size", "1.2.3": "expected a size", ".": "expected a size",
		"1.5": "not a whole number of bytes", "0.3k": "", "0.0001k": "not a whole number of bytes",
		"8EiB": "more than a size can be", "9223372036854775808": "more than a size can be", "1e3": "expected a size", "1/2": "expected a size",
	} {
		_, err := fxconfig.Get[fxconfig.Size](load(t, "s: "+text), "s")
		if want == "" {
			assert.NoError(t, err, text)
			continue
		}
		assert.ErrorContains(t, err, "config.yaml:1:4: s: ", text)
		assert.ErrorContains(t, err, want, text)
	}
	assert.Equal(t, "4MiB", fxconfig.Size(4<<20).String())
	assert.Equal(t, "1000B", fxconfig.Size(1000).String())
	assert.Equal(t, "0B", fxconfig.Size(0).String())
}

func TestDecode_standard_types(t *testing.T) {
	t.Parallel()
	var got struct {
		Time  time.Time
		Date  time.Time
		IP    net.IP
		Big   *big.Int
		Float big.Float
		Node  yaml.Node
		Ptr   *yaml.Node
	}
	require.NoError(t, decode(`{time: 2026-01-02T03:04:05Z, date: 2026-01-02, ip: 10.0.0.1, big: "123456789012345678901234567890", float: 1.5,
  node: {a: ["${FXC_NO:1}"]}, ptr: null}`, &got))
	assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), got.Time)
	assert.Equal(t, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), got.Date)
	assert.Equal(t, net.IPv4(10, 0, 0, 1), got.IP)
	assert.Equal(t, "123456789012345678901234567890", got.Big.String())
	assert.Equal(t, "1.5", got.Float.String())
	var inner struct{ A []string }
	require.NoError(t, got.Node.Decode(&inner))
	assert.Equal(t, []string{"1"}, inner.A)
	assert.Equal(t, 2, got.Node.Line)
	assert.Nil(t, got.Ptr)
}
