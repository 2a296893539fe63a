package fxfactory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxfactory"
)

// fromYAML builds a factory of section http, under Fx.
func fromYAML(t *testing.T, yaml string, s spec, opts ...fxfactory.Option) (*factory, error) {
	t.Helper()
	var f *factory
	app := fx.New(fx.NopLogger,
		fxconfig.From(fxconfig.Text("config.yaml", yaml)),
		fxfactory.Module[*client, config]("http", func() spec { return s }, append([]fxfactory.Option{quiet}, opts...)...),
		fx.Populate(&f))
	if err := app.Err(); err != nil {
		return nil, dig.RootCause(err)
	}
	t.Cleanup(func() { assert.NoError(t, f.Stop(context.Background())) })
	return f, nil
}

func configs(t *testing.T, f *factory) map[string]config {
	t.Helper()
	all := map[string]config{}
	for name, c := range f.All() {
		cfg, err := f.Config(name)
		require.NoError(t, err)
		assert.Equal(t, cfg, c.config, "Config of %q is what Create got", name)
		all[name] = cfg
	}
	return all
}

func TestF1_F2_an_instance_is_the_default_merged_with_its_own(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, yaml string
		want       map[string]config
	}{
		{
			"default beneath every instance", `
http:
  default: {timeout: 3s, headers: {a: "1", b: "1"}}
  clients:
    aaa: {url: a}
    bbb: {url: b, timeout: 10s, headers: {b: "2"}}
`,
			map[string]config{
				"aaa": {URL: "a", Timeout: 3 * time.Second, Headers: map[string]string{"a": "1", "b": "1"}},
				"bbb": {URL: "b", Timeout: 10 * time.Second, Headers: map[string]string{"a": "1", "b": "2"}},
			},
		},
		{
			"null and {} are the default alone", `
http:
  default: {timeout: 3s}
  clients: {aaa: null, bbb: {}, ccc: }
`,
			map[string]config{"aaa": {Timeout: 3 * time.Second}, "bbb": {Timeout: 3 * time.Second}, "ccc": {Timeout: 3 * time.Second}},
		},
		{
			"null inside an instance clears a default", `
http:
  default: {timeout: 3s, headers: {a: "1"}}
  client: {timeout: null, headers: null}
`,
			map[string]config{"default": {}},
		},
		{
			"client is clients.default", `
http:
  default: {timeout: 3s}
  client: {url: a}
`,
			map[string]config{"default": {URL: "a", Timeout: 3 * time.Second}},
		},
		{
			"client wins over clients.default, and they are merged", `
http:
  client: {url: a, headers: {a: "1"}}
  clients:
    default: {url: b, timeout: 1s, headers: {b: "2"}}
`,
			map[string]config{"default": {URL: "a", Timeout: time.Second, Headers: map[string]string{"a": "1", "b": "2"}}},
		},
		{
			"client: null is no client", `
http:
  client: null
  clients: {aaa: {url: a}}
`,
			map[string]config{"aaa": {URL: "a"}},
		},
		{
			"client: {} is one with the default alone", `
http: {client: {}, default: {url: d}}
`,
			map[string]config{"default": {URL: "d"}},
		},
		{
			"client: null beside clients.default", `
http: {client: null, clients: {default: {url: d}}}
`,
			map[string]config{"default": {URL: "d"}},
		},
		{
			"a name with dots and quotes", `
http: {clients: {"a.b \"c\"": {url: a}}}
`,
			map[string]config{`a.b "c"`: {URL: "a"}},
		},
		{"nothing but a default", `http: {default: {url: d}}`, map[string]config{}},
		{"an empty section", `http:`, map[string]config{}},
		{"no section", `other: 1`, map[string]config{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := fromYAML(t, tt.yaml, (&account{}).spec())
			require.NoError(t, err)
			assert.Equal(t, tt.want, configs(t, f))
		})
	}
}

func TestF1_what_code_sets_lies_beneath_what_is_configured(t *testing.T) {
	t.Parallel()
	s := (&account{}).spec()
	s.Default = func(c *config) { c.URL, c.Timeout, c.Headers = "code", time.Minute, map[string]string{"code": "1"} }
	f, err := fromYAML(t, `http: {default: {timeout: 2s}, clients: {aaa: {headers: {own: "2"}}, bbb: }}`, s)
	require.NoError(t, err)
	assert.Equal(t, map[string]config{
		"aaa": {URL: "code", Timeout: 2 * time.Second, Headers: map[string]string{"code": "1", "own": "2"}},
		"bbb": {URL: "code", Timeout: 2 * time.Second, Headers: map[string]string{"code": "1"}},
	}, configs(t, f))
}

func TestF1_instances_share_no_memory(t *testing.T) {
	t.Parallel()
	shared := map[string]string{"shared": "yes"}
	s := (&account{}).spec()
	s.Default = func(c *config) { c.Headers = shared }
	for _, tt := range []struct {
		name string
		make func(t *testing.T) *factory
	}{
		{"from YAML", func(t *testing.T) *factory {
			f, err := fromYAML(t, `http: {default: {headers: {a: "1"}}, clients: {aaa: , bbb: }}`, s)
			require.NoError(t, err)
			return f
		}},
		{"from code", func(t *testing.T) *factory {
			f, err := fxfactory.New(t.Context(), "http", s, settings{Clients: clients{"aaa": nil, "bbb": func(c *config) {
				c.Headers = shared
			}}})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, f.Stop(context.Background())) })
			return f
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.make(t)
			a, err := f.Get("aaa")
			require.NoError(t, err)
			a.config.Headers["a"] = "changed by the client"
			cfg, err := f.Config("aaa")
			require.NoError(t, err)
			assert.NotEqual(t, "changed by the client", cfg.Headers["a"])
			cfg.Headers["a"] = "changed in the copy"

			for _, name := range []string{"aaa", "bbb"} {
				cfg, err := f.Config(name)
				require.NoError(t, err)
				assert.NotContains(t, cfg.Headers["a"], "changed", name)
			}
			b, err := f.Get("bbb")
			require.NoError(t, err)
			assert.NotContains(t, b.config.Headers["a"], "changed")
			later, err := f.Create(t.Context(), "later", func(c *config) { c.Headers["a"] = "changed by configure" })
			require.NoError(t, err)
			assert.Equal(t, "changed by configure", later.config.Headers["a"])
			assert.Equal(t, map[string]string{"shared": "yes"}, shared)
		})
	}
}

func TestF1_F4_everything_wrong_with_a_section_is_reported_at_once(t *testing.T) {
	t.Parallel()
	a := &account{}
	_, err := fromYAML(t, `
http:
  default: {timeout: 3s, urll: x}
  clients:
    aaa: {timeout: 3}
    bbb: {}
    ccc: {url: bad}
  clientPriority: {aab: High, bbb: Hgih}
  priority: {ccc: L9}
  defaultClientName: bbc
  concurrency: 3
`, a.spec())
	want := `fxfactory: configure http: config.yaml:11:3: http.concurrency: unknown key (known: "default", "client", "clients", "defaultClientName", "clientPriority", "priority")
config.yaml:3:26: http.default.urll: unknown key (did you mean "url"?)
config.yaml:5:20: http.clients.aaa.timeout: expected a duration with its unit, such as 3s or 3ms, found the bare number 3
config.yaml:9:19: http.priority.ccc: unknown priority "L9": one of High, Medium, Low, or L1, L2, L3
config.yaml:8:36: http.clientPriority.bbb: unknown priority "Hgih" (did you mean "High"?): one of High, Medium, Low, or L1, L2, L3
config.yaml:8:20: http.clientPriority.aab: no instance "aab" (did you mean "aaa"?); known: "aaa", "bbb", "ccc"
config.yaml:10:3: http.defaultClientName: no instance "bbc" (did you mean "bbb"?); known: "aaa", "bbb", "ccc"`
	require.EqualError(t, err, want)
	var problems *fxconfig.Error
	require.ErrorAs(t, err, &problems)
	assert.Len(t, problems.Problems, 7)
	assert.Empty(t, a.all(), "nothing is created")
}

// F6: what a configuration is to blame for is told at the key, also where only Create can find it out.
func TestF6_what_Create_says_of_a_key_has_the_place_of_the_key(t *testing.T) {
	t.Parallel()
	a := &account{onCreate: func(_ context.Context, name string, _ config) error {
		if name == "fine" {
			return nil
		}
		return fxconfig.At("timeout", errBadURL)
	}}
	_, err := fromYAML(t, `
http:
  default: {timeout: 3s}
  clients:
    aaa: {url: a}
    bbb: {url: b, timeout: 4s}
`, a.spec())
	require.ErrorIs(t, err, errBadURL)
	assert.EqualError(t, err, `fxfactory: create http "aaa" (config.yaml:5:5): config.yaml:3:13: http.default.timeout: the url is bad
fxfactory: create http "bbb" (config.yaml:6:5): config.yaml:6:19: http.clients.bbb.timeout: the url is bad`)

	f, err := fromYAML(t, "http: {default: {timeout: 3s}, clients: {fine: {}}}", a.spec())
	require.NoError(t, err)
	_, err = f.Create(t.Context(), "x", nil)
	assert.EqualError(t, err, `fxfactory: create http "x": timeout: the url is bad`, "what code configures has no place")
}

func TestF1_an_instance_is_validated_and_the_default_is_not(t *testing.T) {
	t.Parallel()
	_, err := fromYAML(t, "http:\n  default: {url: bad}\n  clients:\n    aaa: {url: good}\n    bbb:\n", (&account{}).spec())
	require.ErrorIs(t, err, errBadURL)
	assert.ErrorContains(t, err, "config.yaml:2:3: http")
	assert.NotContains(t, err.Error(), "aaa")

	f, err := fromYAML(t, "http: {default: {url: bad}}", (&account{}).spec())
	require.NoError(t, err)
	_, err = f.Create(t.Context(), "x", nil)
	require.ErrorIs(t, err, errBadURL)
	_, err = f.Create(t.Context(), "x", func(c *config) { c.URL = "good" })
	require.NoError(t, err)
	_, err = f.Replace(t.Context(), "x", func(c *config) { c.URL = "bad" })
	require.ErrorIs(t, err, errBadURL)

	_, err = fxfactory.New(t.Context(), "http", (&account{}).spec(), settings{Clients: these("bad", "good", "x")})
	assert.EqualError(t, err, `fxfactory: configure http: "bad": the url is bad`)
}

func TestF1_the_default_is_decoded_strictly_also_without_an_instance(t *testing.T) {
	t.Parallel()
	_, err := fromYAML(t, "http: {default: {urll: x}}", (&account{}).spec())
	assert.ErrorContains(t, err, `config.yaml:1:18: http.default.urll: unknown key (did you mean "url"?)`)
}

func TestSection_of_the_wrong_shape(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, yaml, want string }{
		{"the section is text", "http: x", `config.yaml:1:7: http: `},
		{"clients is a list", "http: {clients: [a]}", `config.yaml:1:17: http.clients: expected a mapping, found a list`},
		{"client is text", "http: {client: a}", `http.client: `},
		{"an instance is a number", "http: {clients: {a: 3}}", `http.clients.a: `},
		{"an instance without a name", `http: {clients: {"": {}}}`, `an instance needs a name`},
		{"clientPriority is text", "http: {clientPriority: High}", `http.clientPriority: `},
		{"defaultClientName is a mapping", "http: {client: {}, defaultClientName: {a: b}}", `http.defaultClientName: `},
		{"a misspelled key", "http: {cleints: {}}", `http.cleints: unknown key (did you mean "clients"?)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := fromYAML(t, tt.yaml, (&account{}).spec())
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestKeys_allows_what_others_read(t *testing.T) {
	t.Parallel()
	_, err := fromYAML(t, "http: {registry: {a: b}, embedded: 1}", (&account{}).spec(), fxfactory.Keys("registry"), fxfactory.Keys("embedded"))
	require.NoError(t, err)
	_, err = fromYAML(t, "http: {registri: {a: b}}", (&account{}).spec(), fxfactory.Keys("registry"))
	assert.ErrorContains(t, err, `http.registri: unknown key (did you mean "registry"?)`)
}

func TestFallback_is_the_instances_where_none_is_configured(t *testing.T) {
	t.Parallel()
	s := (&account{}).spec()
	s.Fallback = map[string]func(*config){"local": func(c *config) {
		if c.URL == "" {
			c.URL = "fallback"
		}
	}}
	for _, tt := range []struct {
		name, yaml string
		want       map[string]config
	}{
		{"no section", "{}", map[string]config{"local": {URL: "fallback"}}},
		{"an empty section", "http:", map[string]config{"local": {URL: "fallback"}}},
		{"a default alone lies beneath", "http: {default: {url: d, timeout: 1s}}", map[string]config{"local": {URL: "d", Timeout: time.Second}}},
		{"null instances", "http: {client: null, clients: null}", map[string]config{"local": {URL: "fallback"}}},
		{"its priority and name can be configured", "http: {priority: {local: Low}, defaultClientName: local}", map[string]config{"local": {URL: "fallback"}}},
		{"not beside a configured one", "http: {clients: {aaa: }}", map[string]config{"aaa": {}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := fromYAML(t, tt.yaml, s)
			require.NoError(t, err)
			assert.Equal(t, tt.want, configs(t, f))
			assert.NotEmpty(t, f.DefaultName())
		})
	}

	f, err := fxfactory.New(t.Context(), "http", s, settings{})
	require.NoError(t, err)
	assert.Equal(t, []string{"local"}, f.Names())
	require.NoError(t, f.Stop(t.Context()))

	broken := (&account{}).spec()
	broken.Fallback = clients{"broken": func(*config) { panic(errors.New("no fallback")) }}
	_, err = fromYAML(t, "{}", broken)
	assert.ErrorContains(t, err, `"broken": panic: no fallback`)
}

func TestF4_priorities(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]fxfactory.Priority{
		"High": fxfactory.High, "high": fxfactory.High, "L1": fxfactory.High, "l1": fxfactory.High,
		"Medium": fxfactory.Medium, "MEDIUM": fxfactory.Medium, "L2": fxfactory.Medium, "l2": fxfactory.Medium,
		"Low": fxfactory.Low, "lOw": fxfactory.Low, "L3": fxfactory.Low, "l3": fxfactory.Low,
	} {
		for _, key := range []string{"priority", "clientPriority"} {
			f, err := fromYAML(t, "http: {clients: {aaa: , bbb: }, "+key+": {aaa: "+text+"}}", (&account{}).spec())
			require.NoError(t, err)
			assert.Equal(t, want, f.Priority("aaa"), text)
			assert.Equal(t, fxfactory.Medium, f.Priority("bbb"))
			assert.Equal(t, fxfactory.Medium, f.Priority("unknown"))
		}
		written, err := want.MarshalText()
		require.NoError(t, err)
		var read fxfactory.Priority
		require.NoError(t, read.UnmarshalText(written))
		assert.Equal(t, want, read)
	}
	f, err := fromYAML(t, "http: {clients: {aaa: , bbb: }, priority: {aaa: High, bbb: Low}, clientPriority: {aaa: Low}}", (&account{}).spec())
	require.NoError(t, err)
	assert.Equal(t, fxfactory.Low, f.Priority("aaa"), "clientPriority wins over its alias")
	assert.Equal(t, fxfactory.Low, f.Priority("bbb"), "and both count")

	assert.Equal(t, "Priority(7)", fxfactory.Priority(7).String())
	_, err = fxfactory.New(t.Context(), "http", (&account{}).spec(),
		settings{Clients: these("a"), Priorities: map[string]fxfactory.Priority{"a": 7, "b": fxfactory.Low}})
	assert.EqualError(t, err, `fxfactory: configure http: in Priorities: "a" has the unknown Priority(7): one of High, Medium, Low
in Priorities: no instance "b" (did you mean "a"?); known: "a"`)
}
