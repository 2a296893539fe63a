package fxconfig_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxconfig"
)

// server has a key with three names.
type server struct {
	Hosts []string `yaml:"endpoints" alias:"hosts,host"`
	Name  string
}

func (s server) Validate() error {
	if len(s.Hosts) > 2 {
		return fxconfig.At("endpoints", errors.New("at most two"))
	}
	return nil
}

// reading is the same, read by a method.
type reading struct {
	Hosts []string `yaml:"-" alias:"endpoints,hosts,host"`
}

func (r *reading) UnmarshalYAML(unmarshal func(any) error) error {
	var s server
	err := unmarshal(&s)
	r.Hosts = s.Hosts
	return err
}

func TestC1_names_of_one_key_replace_each_other(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		layers  []string
		want    []string
		problem string
	}{
		{"each name is known", []string{"m: {host: [a]}"}, []string{"a"}, ""},
		{"a later source wins under another name", []string{"m: {endpoints: [a]}", "m: {host: [b]}"}, []string{"b"}, ""},
		{"and the other way round", []string{"m: {host: [a]}", "m: {endpoints: [b]}"}, []string{"b"}, ""},
		{"through three layers", []string{"m: {endpoints: [a]}", "m: {host: [b]}", "m: {endpoints: [c]}"}, []string{"c"}, ""},
		{"through layers that say nothing of it", []string{"m: {hosts: [a]}", "m: {name: n}", "m: {host: [b]}", "m: {name: o}"}, []string{"b"}, ""},
		{"a later section wins", []string{"default: {hosts: [a]}\nm: {endpoints: [b]}"}, []string{"b"}, ""},
		{"wherever it stands in the file", []string{"m: {endpoints: [b]}\ndefault: {hosts: [a]}"}, []string{"b"}, ""},
		{"a later section wins over a later source", []string{"m: {endpoints: [b]}", "default: {hosts: [a]}"}, []string{"b"}, ""},
		{"null clears what has another name", []string{"m: {hosts: [a]}", "m: {host: null}"}, nil, ""},
		{"own keys win over merged ones", []string{"x: &x {hosts: [a]}\nm: {<<: *x, host: [b]}"}, []string{"b"}, ""},
		{"merged ones that stand first win", []string{"x: &x {hosts: [a]}\ny: &y {endpoints: [b]}\nm: {<<: [*y, *x]}"}, []string{"b"}, ""},
		{"in whatever order they are known", []string{"x: &x {hosts: [a]}\ny: &y {endpoints: [b]}\nm: {<<: [*x, *y]}"}, []string{"a"}, ""},
		{"what was replaced is not expanded", []string{"m: {endpoints: ['${FXCONFIG_TEST_UNSET}']}", "m: {host: [b]}"}, []string{"b"}, ""},
		{"two in one mapping are a problem", []string{"m: {endpoints: [a], host: [b]}"}, nil, "config.yaml:1:21: m.host: host is the same key as endpoints: keep one of them"},
		{"and in one layer", []string{"m: {endpoints: [a]}", "m: {hosts: [a], host: [b]}"}, nil, "config.x.yaml:1:17: m.host: host is the same key as hosts: keep one of them"},
		{"of a section in its own place", []string{"default: {endpoints: [a], host: [b]}\nm: {name: n}"}, nil, "config.yaml:1:27: default.host: host is the same key as endpoints: keep one of them"},
		{"unless a later layer replaces both", []string{"m: {endpoints: [a], host: [b]}", "m: {hosts: [c]}"}, []string{"c"}, ""},
		{"a wrong value has the name that was written", []string{"m: {endpoints: [a]}", "m: {host: {b: c}}"}, nil, "config.x.yaml:1:11: m.host: expected a list, found a mapping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := load(t, tt.layers...)
			var plain server
			err := c.Decode(&plain, "default", "m")
			var read reading
			errRead := c.Decode(&read, "default", "m")
			if tt.problem != "" {
				assert.EqualError(t, err, tt.problem)
				assert.EqualError(t, errRead, tt.problem)
				return
			}
			require.NoError(t, err)
			require.NoError(t, errRead)
			assert.Equal(t, tt.want, plain.Hosts)
			assert.Equal(t, tt.want, read.Hosts)
		})
	}
}

func TestC5_a_problem_of_a_key_with_several_names_is_where_it_was_written(t *testing.T) {
	t.Parallel()
	c := load(t, "m: {endpoints: [a]}", "m: {name: n, hosts: [a, b, c]}")
	assert.EqualError(t, c.Decode(&struct{ M server }{}), "config.x.yaml:1:14: m.hosts: at most two")
	assert.EqualError(t, fxconfig.Validate(server{Hosts: []string{"a", "b", "c"}}), "endpoints: at most two")
}

func TestC3_names_of_one_key_belong_to_one_struct(t *testing.T) {
	t.Parallel()
	var inlined struct {
		Server server `yaml:",inline"`
	}
	require.NoError(t, load(t, "hosts: [a]", "host: [b]").Decode(&inlined))
	assert.Equal(t, []string{"b"}, inlined.Server.Hosts)

	var read struct {
		Reading reading `yaml:",inline"`
	}
	require.NoError(t, load(t, "hosts: [a]", "host: [b]").Decode(&read))
	assert.Equal(t, []string{"b"}, read.Reading.Hosts)

	assert.ErrorContains(t, load(t, "a: 1").Decode(&struct {
		A string `alias:"b"`
		B string
	}{}), `two fields have the key "b"`)

	c, err := fxconfig.Load(fxconfig.Value("m", server{Hosts: []string{"a"}}), fxconfig.Value("m.host", []string{"b"}))
	require.NoError(t, err, "a value is written under one name")
	got, err := fxconfig.Get[server](c, "m")
	require.NoError(t, err)
	assert.Equal(t, []string{"b"}, got.Hosts)
}
