package fxconfig_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxconfig"
)

type tlsConfig struct {
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
}

type clientConfig struct {
	Endpoints []string        `yaml:"endpoints"`
	Timeout   time.Duration   `yaml:"timeout"`
	Retries   int8            `yaml:"retries"`
	Ratio     float32         `yaml:"ratio"`
	On        bool            `yaml:"on"`
	Limit     uint8           `yaml:"limit"`
	TLS       *tlsConfig      `yaml:"tls"`
	Pair      [2]int          `yaml:"pair"`
	Password  fxconfig.Secret `yaml:"password"`
	Since     time.Time       `yaml:"since"`
	Address   netip.Addr      `yaml:"address"`
	Max       fxconfig.Size   `yaml:"max"`
	Labels    map[string]int  `yaml:"labels"`
	Parts     []tlsConfig     `yaml:"parts"`
	Codes     map[int]string  `yaml:"codes"`
	Any       any             `yaml:"any"`
}

type etcdConfig struct {
	Clients map[string]clientConfig `yaml:"clients"`
}

func TestC3_a_problem_has_position_path_and_the_nearest_key(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, yaml, want string }{
		{"a misspelt key", "endpiont: [a]", `config.yaml:14:7: etcd.clients.main.endpiont: unknown key (did you mean "endpoints"?)`},
		{"a key in another case", "Timeout: 1s", `config.yaml:14:7: etcd.clients.main.Timeout: unknown key (did you mean "timeout"?)`},
		{
			"a key like no other", "frobnicate: 1",
			`config.yaml:14:7: etcd.clients.main.frobnicate: unknown key (known: "endpoints", "timeout", "retries", "ratio", "on", "limit", "tls", "pair", "password", "since", "address", "max", and 4 more)`,
		},
		{"deeper", "tls: {sert: x}", `config.yaml:14:13: etcd.clients.main.tls.sert: unknown key (did you mean "cert"?)`},
		{"in a list", "parts: [{ca: a}, {x: b}]", `config.yaml:14:25: etcd.clients.main.parts.1.x: unknown key (known: "ca", "cert")`},
		{"a key with dots", "a.b: 1", `config.yaml:14:7: etcd.clients.main."a.b": unknown key (known: "endpoints", "timeout", "retries", "ratio", "on", "limit", "tls", "pair", "password", "since", "address", "max", and 4 more)`},
		{"a duplicate key", "on: true\n      limit: 1\n      on: false", `config.yaml:16:7: etcd.clients.main.on: duplicate key, first set at config.yaml:14:7`},
		{"text for a number", "retries: abc", `config.yaml:14:16: etcd.clients.main.retries: expected a whole number, found "abc"`},
		{"a quoted number for a number", `retries: "5"`, `config.yaml:14:16: etcd.clients.main.retries: expected a whole number, found the text "5"`},
		{"a fraction for a whole number", "retries: 1.5", `config.yaml:14:16: etcd.clients.main.retries: expected a whole number, found "1.5"`},
		{"a boolean for a number", "retries: true", `config.yaml:14:16: etcd.clients.main.retries: expected a whole number, found "true"`},
		{"a number for a boolean", "on: 1", `config.yaml:14:11: etcd.clients.main.on: expected true or false, found "1"`},
		{"quoted text for a boolean", `on: "true"`, `config.yaml:14:11: etcd.clients.main.on: expected true or false, found the text "true"`},
		{"quoted text that reads yes", `on: "yes"`, `config.yaml:14:11: etcd.clients.main.on: expected true or false, found the text "yes"`},
		{"a list for a boolean", `on: [true]`, `config.yaml:14:11: etcd.clients.main.on: expected true or false, found a list`},
		{"too large", "retries: 128", `config.yaml:14:16: etcd.clients.main.retries: 128 does not fit int8 (-128 to 127)`},
		{"too small", "retries: -129", `config.yaml:14:16: etcd.clients.main.retries: -129 does not fit int8 (-128 to 127)`},
		{"too large for any", "retries: 18446744073709551615", `config.yaml:14:16: etcd.clients.main.retries: 18446744073709551615 does not fit int8 (-128 to 127)`},
		{"negative", "limit: -1", `config.yaml:14:14: etcd.clients.main.limit: -1 does not fit uint8 (0 to 255)`},
		{"too large without a sign", "limit: 256", `config.yaml:14:14: etcd.clients.main.limit: 256 does not fit uint8 (0 to 255)`},
		{"too large a float", "ratio: 1e39", `config.yaml:14:14: etcd.clients.main.ratio: 1e39 does not fit float32`},
		{"text for a float", "ratio: many", `config.yaml:14:14: etcd.clients.main.ratio: expected a number, found "many"`},
		{"a mapping for text in a list", "endpoints: [{a: b}]", `config.yaml:14:19: etcd.clients.main.endpoints.0: expected text, found a mapping`},
		{"a scalar for a list", "endpoints: a:1", `config.yaml:14:18: etcd.clients.main.endpoints: expected a list, found text`},
		{"a scalar for a mapping", "tls: true", `config.yaml:14:12: etcd.clients.main.tls: expected a mapping, found a boolean`},
		{"a list for a mapping", "labels: [1]", `config.yaml:14:15: etcd.clients.main.labels: expected a mapping, found a list`},
		{"a short list", "pair: [1]", `config.yaml:14:13: etcd.clients.main.pair: expected a list of 2, found one of 1`},
		{"a long list", "pair: [1, 2, 3]", `config.yaml:14:13: etcd.clients.main.pair: expected a list of 2, found one of 3`},
		{"no list", "pair: 1", `config.yaml:14:13: etcd.clients.main.pair: expected a list of 2, found a number`},
		{"no duration", "timeout: soon", `config.yaml:14:16: etcd.clients.main.timeout: expected a duration such as 1m30s, found "soon"`},
		{"a mapping for a duration", "timeout: {}", `config.yaml:14:16: etcd.clients.main.timeout: expected a duration such as 1m30s, found a mapping`},
		{"no time", "since: soon", `config.yaml:14:14: etcd.clients.main.since: expected a time such as 2006-01-02T15:04:05Z, found "soon"`},
		{"no address", "address: here", `config.yaml:14:16: etcd.clients.main.address: ParseAddr("here"): unable to parse IP`},
		{"a mapping for what reads text", "max: {}", `config.yaml:14:12: etcd.clients.main.max: expected text, found a mapping`},
		{"a mapping for a secret", "password: {a: hunter2}", `config.yaml:14:17: etcd.clients.main.password: expected text, found a mapping`},
		{"a map's value", "labels: {a: 1, b: x}", `config.yaml:14:25: etcd.clients.main.labels.b: expected a whole number, found "x"`},
		{"a map's key", "codes: {a: x}", `config.yaml:14:15: etcd.clients.main.codes.a: expected a whole number, found "a"`},
		{"a key twice in other words", "codes: {1: x, 0x1: y}", `config.yaml:14:21: etcd.clients.main.codes.0x1: duplicate key: 1 is the same`},
		{"a tag that is not true", "any: !!int x", `config.yaml:14:12: etcd.clients.main.any: "x" is not what its tag says`},
		{"null by tag alone", "any: !!null x", `config.yaml:14:12: etcd.clients.main.any: is not null, as its tag says`},
		{"no base64", "password: !!binary '%'", `config.yaml:14:17: etcd.clients.main.password: is not base64, as !!binary needs`},
		{"a mapping as a key", "? {a: b}\n      : c", `config.yaml:14:9: etcd.clients.main: a key must be text, not a mapping or a list`},
		{"very long text", "retries: " + strings.Repeat("x", 1000), `config.yaml:14:16: etcd.clients.main.retries: expected a whole number, found "` + strings.Repeat("x", 60) + `… (1000 bytes)"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got struct{ Etcd etcdConfig }
			err := decode(strings.Repeat("\n", 10)+"etcd:\n  clients:\n    main:\n      "+tt.yaml, &got)
			require.EqualError(t, err, tt.want)
			p := problems(t, err)[0]
			assert.Equal(t, tt.want, p.String())
		})
	}
}

func TestC3_all_problems_come_together_file_by_file(t *testing.T) {
	t.Parallel()
	c := load(t, `a:
  b: 1
  number: x
  flag: maybe
`, `
a: {c: 1, list: 5}
`)
	var got struct {
		A struct {
			Number int
			Flag   bool
			List   []int
		}
	}
	err := c.Decode(&got)
	require.EqualError(t, err, `config.yaml:2:3: a.b: unknown key (known: "number", "flag", "list")
config.yaml:3:11: a.number: expected a whole number, found "x"
config.yaml:4:9: a.flag: expected true or false, found "maybe"
config.x.yaml:2:5: a.c: unknown key (known: "number", "flag", "list")
config.x.yaml:2:17: a.list: expected a list, found a number`)
	assert.Equal(t, fxconfig.Problem{Position: "config.yaml:3:11", Path: "a.number", Message: `expected a whole number, found "x"`}, problems(t, err)[1])
}

func TestC3_positions_survive_merging(t *testing.T) {
	t.Parallel()
	c, err := fxconfig.Load(
		fxconfig.Text("base.yaml", "a:\n  x: 1\n  y: 2\n  list: [1]\n"),
		fxconfig.Text("prod.yaml", "# production\na:\n    y: 3\n    z: {deep: 4}\n"),
		fxconfig.Value("a.w", 5),
	)
	require.NoError(t, err)
	for path, want := range map[string]string{
		"a.x": "base.yaml:2:3", "a.y": "prod.yaml:3:5", "a.z": "prod.yaml:4:5", "a.z.deep": "prod.yaml:4:9",
		"a.list": "base.yaml:4:3", "a.list.0": "base.yaml:4:10", "a.nothing": "", "b": "", "a.list.1": "", "a.list.x": "", "a..x": "",
	} {
		assert.Equal(t, want, c.Origin(path), path)
	}
	assert.Regexp(t, `strict_test\.go:\d+$`, c.Origin("a.w"))
	var got struct {
		A struct{ X, Y, Z, W bool }
	}
	err = c.Decode(&got)
	require.Error(t, err)
	var positions []string
	for _, p := range problems(t, err) {
		positions = append(positions, p.Path+" "+p.Position)
	}
	require.Len(t, positions, 5)
	assert.ElementsMatch(t, []string{"a.list base.yaml:4:3", "a.x base.yaml:2:6", "a.y prod.yaml:3:8", "a.z prod.yaml:4:8"}, positions[:4])
	assert.Regexp(t, `^a\.w .*strict_test\.go:\d+$`, positions[4])
}

func TestC3_sections_merged_by_Fill_keep_their_own_paths(t *testing.T) {
	t.Parallel()
	c := load(t, `
http:
  default: {timeout: 1, deep: {a: x, b: {c: x}}, same: {x: 1}, outer: {p: {a: 1}}}
  clients:
    "a.b": {retries: x, deep: {b: {d: x}, e: {f: 1}}, other: {y: 1}}
  third: {deep: {b: {g: x}}, outer: {p: {b: 1}}}
`)
	var got struct {
		Timeout time.Duration
		Retries int
		Deep    struct {
			A int
			B struct{ C, D, G int }
		}
		Other struct{}
		Outer struct{ P struct{} }
	}
	err := c.Fill(&got, "http.default", `http.clients."a.b"`, "http.third")
	var paths []string
	for _, p := range problems(t, err) {
		paths = append(paths, p.Path)
	}
	assert.Equal(t, []string{
		"http.default.timeout", "http.default.deep.a", "http.default.deep.b.c", "http.default.same", "http.default.outer.p.a",
		`http.clients."a.b".retries`, `http.clients."a.b".deep.b.d`, `http.clients."a.b".deep.e`, `http.clients."a.b".other.y`,
		"http.third.deep.b.g", "http.third.outer.p.b",
	}, paths)
}

func TestC3_syntax_errors_name_file_and_line(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, yaml, want string }{
		{"a mapping where none can be", "a: 1\nb: 2\n  c: 3", "config.yaml:3: mapping values are not allowed in this context"},
		{"a bracket that stays open", "a: 1\nb: [1,\n", "config.yaml:3: did not find expected node content"},
		{"a tab", "a:\n\tb: 1", "config.yaml:2: found character that cannot start any token"},
		{"an alias without its anchor", "a: 1\nb: *nope", "config.yaml:2:4: there is no anchor &nope before this alias"},
		{"aliases without their anchor", "a: *nope\nb: *nope", "config.yaml: there is no anchor &nope before its alias"},
		{"a control character", "a: 1\nb: x\x01y", "config.yaml:2:5: control characters are not allowed"},
		{"on the first line", "a: b: c", "config.yaml:1: mapping values are not allowed in this context"},
		{"a bad merge", "a: 1\nb: {<<: 5}", "config.yaml:2:9: b: << needs a mapping, or a list of mappings, to merge"},
		{"two merges", "x: &x {}\nb: {<<: *x, <<: *x}", "config.yaml:2:13: b: a second << in one mapping; merge several with <<: [*a, *b]"},
		{"several documents", "a: 1\n---\nb: 2", "config.yaml:2:1: is a second document; one file holds one document"},
		{"a second document without content", "a: 1\n---\n", "config.yaml:2:1: is a second document; one file holds one document"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := fxconfig.Load(fxconfig.Text("config.yaml", tt.yaml))
			require.EqualError(t, err, tt.want)
			problems(t, err)
		})
	}
}

func TestC3_problems_of_all_sources_come_together(t *testing.T) {
	t.Parallel()
	_, err := fxconfig.Load(
		fxconfig.Text("a.yaml", "x: 1\nx: 2\nx: 3"), fxconfig.File("/no/such.yaml"), fxconfig.Text("b.yaml", "y: [1"), nil, fxconfig.Value("a..b", 1),
	)
	require.Error(t, err)
	assert.Len(t, problems(t, err), 3)
	for _, want := range []string{"a.yaml:2:1: x: duplicate key", "a.yaml:3:1: x: duplicate key", "b.yaml:", "/no/such.yaml", "a Source is nil", "a key is empty"} {
		assert.ErrorContains(t, err, want)
	}
}

func TestC3_what_cannot_be_decoded_into_is_an_error(t *testing.T) {
	t.Parallel()
	c := load(t, "a: {x: 1}")
	var missing *clientConfig
	for _, into := range []any{nil, clientConfig{}, missing, 5} {
		assert.ErrorContains(t, c.Decode(into, "a"), "needs a pointer that is not nil")
		assert.ErrorContains(t, c.Fill(into, "a"), `fxconfig: decode "a"`)
	}
	for _, into := range []any{
		&struct{ X chan int }{}, &struct{ X func() }{}, &struct{ X complex64 }{}, &struct{ X interface{ Unwrap() error } }{},
	} {
		assert.ErrorContains(t, c.Decode(into, "a"), "config.yaml:1:8: a.x: a", "%T", into)
	}
	type twice struct {
		A int `yaml:"x"`
		B int `yaml:"x"`
	}
	assert.EqualError(t, c.Decode(&twice{}, "a"), `config.yaml:1:4: a: type fxconfig_test.twice: two fields have the key "x"`)
	assert.EqualError(t, c.Decode(&twice{}, "absent"), `absent: type fxconfig_test.twice: two fields have the key "x"`)
	type option struct {
		A int `yaml:"x,inlined"`
	}
	assert.ErrorContains(t, c.Decode(&option{}, "a"), `unknown option "inlined"`)
	for path, want := range map[string]string{
		"a..x": "a key is empty", "a.": "ends with a dot", ".a": "a key is empty", `"a`: "the quotes around a key are not closed", `"a"x`: "a dot must follow",
		`"a".`: "ends with a dot",
	} {
		var x any
		assert.ErrorContains(t, c.Decode(&x, path), want, path)
		assert.False(t, c.Has(path))
		assert.Nil(t, c.Keys(path))
	}
}

func TestC3_problems_are_bounded(t *testing.T) {
	t.Parallel()
	var got struct{ Endpoints int }
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	err := decode(b.String(), &got)
	p := problems(t, err)
	assert.Len(t, p, 1001)
	assert.Regexp(t, `^\d+ further problems$`, p[1000].String())
}
