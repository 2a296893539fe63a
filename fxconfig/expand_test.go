package fxconfig_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxconfig"
)

// These tests set environment variables, so they are not parallel.

func setEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"FXC_HOST": "db.internal", "FXC_PORT": "5432", "FXC_EMPTY": "", "FXC_YES": "true", "FXC_TILDE": "~", "FXC_NULL": "null",
		"FXC_WAIT": "1m30s", "FXC_FLOW": "[a, b]", "FXC_MAP": "a: b", "FXC_LINES": "one\ntwo: three\n", "FXC_REF": "${FXC_HOST}",
		"FXC_PI": "3.14", "FXC_Case": "mixed", "FXC_OCTAL": "0o17",
	} {
		t.Setenv(name, value)
	}
}

func TestC2_variables_stand_in_values(t *testing.T) {
	setEnvironment(t)
	for _, tt := range []struct {
		name, value string
		want        any
	}{
		{"alone", "${FXC_HOST}", "db.internal"},
		{"inside longer text", "postgres://${FXC_HOST}:${FXC_PORT}/x", "postgres://db.internal:5432/x"},
		{"twice", "${FXC_HOST}${FXC_HOST}", "db.internaldb.internal"},
		{"a default", "${FXC_NO:fallback}", "fallback"},
		{"an empty default", `"${FXC_NO:}"`, ""},
		{"a default that is not wanted", "${FXC_HOST:fallback}", "db.internal"},
		{"set but empty is set", "${FXC_EMPTY:fallback}", ""},
		{"and satisfies what is required", "${FXC_EMPTY:?must be set}", ""},
		{"required and there", "${FXC_HOST:?must be set}", "db.internal"},
		{"the name ends at the first colon", "${FXC_NO:http://a:80/}", "http://a:80/"},
		{"the default at the first brace", "${FXC_NO:{a}}", "{a}"},
		{"names keep their case", "${FXC_Case}", "mixed"},
		{"a literal", "$${FXC_HOST}", "${FXC_HOST}"},
		{"a literal beside a variable", "$${a} ${FXC_PORT}", "${a} 5432"},
		{"a dollar before a literal", "$$${a}", "$${a}"},
		{"a literal right after a variable", "${FXC_PORT}$${FXC_PORT}", "5432${FXC_PORT}"},
		{"a dollar alone", "$FXC_HOST $ $$", "$FXC_HOST $ $$"},
		{"a variable's value is not expanded again", "${FXC_REF}", "${FXC_HOST}"},
		{"nor is a default", "${FXC_NO:$FXC_HOST}", "$FXC_HOST"},
		{"a number", "${FXC_PORT}", 5432},
		{"a number from a default", "${FXC_NO:8080}", 8080},
		{"a number put together", "1${FXC_PORT}", 15432},
		{"octal", "${FXC_OCTAL}", 15},
		{"a fraction", "${FXC_PI}", 3.14},
		{"a boolean", "${FXC_YES}", true},
		{"in quotes it is text", `"${FXC_PORT}"`, "5432"},
		{"in single quotes too", `'${FXC_PORT}'`, "5432"},
		{"with a tag it is what the tag says", `!!str ${FXC_PORT}`, "5432"},
		{"in a block", "|-\n  ${FXC_PORT}", "5432"},
		{"a tilde is text", "${FXC_TILDE}", "~"},
		{"null is text", "${FXC_NULL}", "null"},
		{"nothing is text", "${FXC_EMPTY}", ""},
		{"never a list", "${FXC_FLOW}", "[a, b]"},
		{"never a mapping", "${FXC_MAP}", "a: b"},
		{"lines stay in their value", "${FXC_LINES}", "one\ntwo: three\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := fxconfig.Get[any](load(t, "a: "+tt.value), "a")
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestC2_expansion_keeps_structure_and_keys(t *testing.T) {
	setEnvironment(t)
	c := load(t, "list:\n  - ${FXC_MAP}\n  - '${FXC_LINES}'\n\"${FXC_HOST}\": {depth: \"${FXC_PORT}\"}\n")
	assert.Equal(t, map[string]any{
		"list":        []any{"a: b", "one\ntwo: three\n"},
		"${FXC_HOST}": map[string]any{"depth": "5432"},
	}, tree(t, c), "list items are expanded, keys are not")
}

func TestC2_a_quoted_variable_fills_what_is_no_text(t *testing.T) {
	setEnvironment(t)
	var got struct {
		Int      int
		Uint     uint16
		Float    float64
		Bool     bool
		Duration time.Duration
		Size     fxconfig.Size
		Pointer  *int
		Text     string
		Tilde    *string
	}
	c := load(t, `{int: "${FXC_PORT}", uint: '${FXC_PORT}', float: "${FXC_PI}", bool: "${FXC_YES}", duration: "${FXC_WAIT}",
  size: "${FXC_NO:4MiB}", pointer: "${FXC_PORT}", text: "${FXC_PORT}", tilde: "${FXC_TILDE}"}`)
	require.NoError(t, c.Decode(&got))
	assert.Equal(t, 5432, got.Int)
	assert.Equal(t, uint16(5432), got.Uint)
	assert.InDelta(t, 3.14, got.Float, 0)
	assert.True(t, got.Bool)
	assert.Equal(t, 90*time.Second, got.Duration)
	assert.Equal(t, fxconfig.Size(4<<20), got.Size)
	assert.Equal(t, 5432, *got.Pointer)
	assert.Equal(t, "5432", got.Text)
	require.NotNil(t, got.Tilde, "null from the environment is text, and clears nothing")
	assert.Equal(t, "~", *got.Tilde)
}

func TestC2_what_a_later_layer_replaced_is_never_expanded(t *testing.T) {
	t.Parallel()
	c := load(t, "a: ${FXC_NO}\nb: {c: '${FXC_NO:-x}'}", "a: 1\nb: 2")
	assert.Equal(t, map[string]any{"a": 1, "b": 2}, tree(t, c))

	c = load(t, "default: {password: \"${FXC_NO}\"}\nmain: {password: given}")
	var got struct{ Password string }
	require.NoError(t, c.Decode(&got, "default", "main"), "nor what a later section replaced")
	assert.Equal(t, "given", got.Password)
}

func TestC2_a_config_keeps_what_the_environment_said_when_it_was_loaded(t *testing.T) {
	t.Setenv("FXC_NOW", "before")
	c := load(t, "a: ${FXC_NOW}")
	t.Setenv("FXC_NOW", "after")
	got, err := fxconfig.Get[string](c, "a")
	require.NoError(t, err)
	assert.Equal(t, "before", got)
}

func TestC2_a_value_given_by_code_is_literal(t *testing.T) {
	setEnvironment(t)
	c, err := fxconfig.Load(fxconfig.Text("t", "a: ${FXC_HOST}"), fxconfig.Value("b", []any{"${FXC_HOST}", "$${x}"}))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": "db.internal", "b": []any{"${FXC_HOST}", "$${x}"}}, tree(t, c))
}

func TestC2_what_cannot_be_expanded_is_a_problem_of_its_value(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"unset", "${FXC_NO}", `config.yaml:2:6: a.b: the environment variable FXC_NO is not set, and ${FXC_NO} has no default (${FXC_NO:default} gives one)`},
		{"unset inside text", "hunter2${FXC_NO}hunter2", `config.yaml:2:6: a.b: the environment variable FXC_NO is not set, and ${FXC_NO} has no default (${FXC_NO:default} gives one)`},
		{"required", "${FXC_NO:?ask the database team}", `config.yaml:2:6: a.b: the environment variable FXC_NO is not set: ask the database team`},
		{"required without words", "${FXC_NO:?}", `config.yaml:2:6: a.b: the environment variable FXC_NO is not set: it must be set`},
		{"the shell's default", "${FXC_NO:-hunter2}", `config.yaml:2:6: a.b: ${FXC_NO:-…} is the shell's spelling of a default; here it is ${FXC_NO:…}`},
		{"no end", `"hunter2${FXC_NO"`, `config.yaml:2:6: a.b: a ${ without its } (write $${ for a literal ${)`},
		{"no name", `"${}hunter2"`, `config.yaml:2:6: a.b: a ${ without a variable's name after it (write $${ for a literal ${)`},
		{"no possible name", `"${hunter2 =}"`, `config.yaml:2:6: a.b: a ${ without a variable's name after it (write $${ for a literal ${)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got struct{ A struct{ B fxconfig.Secret } }
			err := decode("a:\n  b: "+tt.value, &got)
			require.EqualError(t, err, tt.want)
			assert.Equal(t, "a.b", problems(t, err)[0].Path)
			var anything any
			require.EqualError(t, decode("a:\n  b: "+tt.value, &anything), tt.want)
		})
	}
}

func TestC2_an_unused_section_wants_no_variables(t *testing.T) {
	t.Parallel()
	c := load(t, "used: 1\nunused: ${FXC_NO}")
	got, err := fxconfig.Get[int](c, "used")
	require.NoError(t, err)
	assert.Equal(t, 1, got)
	_, err = fxconfig.Get[string](c, "unused")
	assert.ErrorContains(t, err, "FXC_NO")
}

func TestC2_flow_style_wants_quotes_and_says_so(t *testing.T) {
	t.Parallel()
	_, err := fxconfig.Load(fxconfig.Text("config.yaml", "a: 1\nb: {depth: ${FXC_NO:1}}"))
	assert.EqualError(t, err, "config.yaml:2: did not find expected ',' or '}' (inside […] and {…} a ${NAME} needs quotes)")
}

func TestC2_expansion_is_bounded(t *testing.T) {
	t.Setenv("FXC_BIG", strings.Repeat("x", 100<<10))
	var got any
	err := decode("a:\n"+strings.Repeat("- x${FXC_BIG}\n", 2000), &got)
	require.Error(t, err)
	assert.Contains(t, problems(t, err)[0].Message, "the variables expand to more than 64 MiB")
}
