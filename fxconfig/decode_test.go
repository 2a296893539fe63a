package fxconfig_test

import (
	"fmt"
	"math"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
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
