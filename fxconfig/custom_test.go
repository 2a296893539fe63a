package fxconfig_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
)

var errCustom = errors.New("custom error")

// byNode reads a mapping with yaml.v3.
type byNode struct {
	X    int
	Seen string
}

func (b *byNode) UnmarshalYAML(n *yaml.Node) error {
	b.Seen = fmt.Sprintf("%s %d:%d", n.ShortTag(), n.Line, n.Column)
	switch {
	case n.Kind != yaml.MappingNode:
		return errCustom
	}
	type plain struct{ X int }
	var p plain
	if err := n.Decode(&p); err != nil {
		return err
	}
	b.X = p.X
	return nil
}

// byFunc reads a list or one item, the usual reason for such a method.
type byFunc struct {
	Items []string
	Limit struct{ Max int }
}

func (b *byFunc) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		if one == "bad" {
			return fmt.Errorf("%w: %s", errCustom, one)
		}
		b.Items = []string{one}
		return nil
	}
	var list []string
	if unmarshal(&list) == nil {
		b.Items = list
		return nil
	}
	type plain byFunc
	return unmarshal((*plain)(b))
}

type byText struct{ Text string }

func (b *byText) UnmarshalText(text []byte) error {
	if strings.HasPrefix(string(text), "bad") {
		return errCustom
	}
	b.Text = "<" + string(text) + ">"
	return nil
}

type customs struct {
	Node    byNode
	Nodes   map[string]*byNode
	Func    byFunc
	Funcs   []byFunc
	Text    byText
	Texts   map[byText]byText
	Pointer **byText
}

func TestC9_a_type_reads_itself(t *testing.T) {
	t.Parallel()
	var got struct {
		Customs customs `yaml:",inline"`
		Anchor  any
	}
	require.NoError(t, decode(`
anchor: &a {x: 1}
node: {<<: *a}
nodes: {one: {x: 2}, two: null}
func: one
funcs: [one, [a, b], {items: [c], limit: {max: 3}}, null]
text: 5
texts: {a: b}
pointer: "${FXC_NO:p}"
`, &got))
	c := got.Customs
	assert.Equal(t, byNode{1, "!!map 3:7"}, c.Node, "merge keys and aliases are resolved")
	assert.Equal(t, map[string]*byNode{"one": {2, "!!map 4:14"}, "two": nil}, c.Nodes, "null is not handed over")
	assert.Equal(t, []string{"one"}, c.Func.Items)
	require.Len(t, c.Funcs, 4)
	assert.Equal(t, []string{"a", "b"}, c.Funcs[1].Items)
	assert.Equal(t, 3, c.Funcs[2].Limit.Max)
	assert.Equal(t, byText{"<5>"}, c.Text, "any scalar is text to it")
	assert.Equal(t, map[byText]byText{{"<a>"}: {"<b>"}}, c.Texts)
	assert.Equal(t, byText{"<p>"}, **c.Pointer)
}

func TestC9_their_errors_carry_the_position(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, yaml, want string
		is               error
	}{
		{"UnmarshalYAML(*yaml.Node)", "node: 5", "config.yaml:1:7: node: custom error", errCustom},
		{"what yaml.v3 says inside it", "node: {x: y}", "config.yaml:1:7: node: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `y` into int", nil},
		{"UnmarshalYAML(func(any) error)", "func: bad", "config.yaml:1:7: func: custom error: bad", errCustom},
		{"in a list", "funcs: [a, bad]", "config.yaml:1:12: funcs.1: custom error: bad", errCustom},
		{"in a map", "nodes: {a: {x: 1}, b: x}", "config.yaml:1:23: nodes.b: custom error", errCustom},
		{"UnmarshalText", "text: bad", "config.yaml:1:7: text: custom error", errCustom},
		{"UnmarshalText of a key", "texts: {bad: x}", "config.yaml:1:9: texts.bad: custom error", errCustom},
		{"UnmarshalText behind pointers", "pointer: bad", "config.yaml:1:10: pointer: custom error", errCustom},
		{"a mapping for UnmarshalText", "text: [1]", "config.yaml:1:7: text: expected a mapping, found a list", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got customs
			err := decode(tt.yaml, &got)
			require.EqualError(t, err, tt.want)
			if tt.is != nil {
				assert.ErrorIs(t, err, tt.is)
			}
		})
	}
}

func TestC3_inside_UnmarshalYAML_of_the_function_form_decoding_is_strict(t *testing.T) {
	t.Parallel()
	var got customs
	err := decode("funcs:\n- {itemz: [], limit: {maxx: 1, max: x}}", &got)
	require.EqualError(t, err, `config.yaml:2:4: funcs.0.itemz: unknown key (did you mean "items"?)
config.yaml:2:23: funcs.0.limit.maxx: unknown key (did you mean "max"?)
config.yaml:2:37: funcs.0.limit.max: expected a whole number, found "x"`)
	assert.Len(t, problems(t, err), 3)
}

func TestC2_what_cannot_be_expanded_does_not_reach_UnmarshalYAML(t *testing.T) {
	t.Parallel()
	var got customs
	err := decode("node: {x: '${FXC_NO}'}\nfunc: ['${FXC_NO}']", &got)
	require.Len(t, problems(t, err), 2)
	assert.ErrorContains(t, err, "config.yaml:1:11: node.x: the environment variable FXC_NO is not set")
	assert.ErrorContains(t, err, "config.yaml:2:8: func.0: the environment variable FXC_NO is not set",
		"where what the type tries in turn would hide the cause")
	assert.Empty(t, got.Node.Seen)
}

// restOf takes what the struct around it has no fields for.
type restOf map[string]string

type inlineCustom struct{ Keys []string }

func (c *inlineCustom) UnmarshalYAML(n *yaml.Node) error {
	for i := 0; i < len(n.Content); i += 2 {
		c.Keys = append(c.Keys, n.Content[i].Value)
	}
	return nil
}

func TestC9_an_inline_field_that_reads_itself_gets_the_keys_that_are_left(t *testing.T) {
	t.Parallel()
	var got struct {
		Own    int
		Inline inlineCustom  `yaml:",inline"`
		Ptr    *inlineCustom `yaml:",inline"`
	}
	require.NoError(t, decode("{a: 1, own: 2, b: 3}", &got))
	assert.Equal(t, 2, got.Own)
	assert.Equal(t, []string{"a", "b"}, got.Inline.Keys)
	assert.Equal(t, []string{"a", "b"}, got.Ptr.Keys)
	var rest struct {
		Own  int
		Rest restOf `yaml:",inline"`
	}
	require.NoError(t, decode("{a: 1, own: 2, b: 3}", &rest))
	assert.Equal(t, restOf{"a": "1", "b": "3"}, rest.Rest)
	assert.EqualError(t, decode("{a: [], own: 2}", &rest), "config.yaml:1:5: a: expected text, found a list")
}

type window struct{ From, To int }

func (w *window) UnmarshalYAML(unmarshal func(any) error) error {
	type plain window
	if err := unmarshal((*plain)(w)); err != nil {
		return fmt.Errorf("a window: %w", err)
	}
	if w.From > w.To {
		return fxconfig.At("to", errCustom)
	}
	return nil
}

func TestC9_errors_may_say_which_key_they_are_about_and_keep_their_words(t *testing.T) {
	t.Parallel()
	var got struct{ A window }
	err := decode("a: {from: 2, to: 1}", &got)
	require.EqualError(t, err, "config.yaml:1:14: a.to: custom error")
	require.ErrorIs(t, err, errCustom)
	assert.EqualError(t, decode("a: {from: x}", &got), `config.yaml:1:4: a: a window: config.yaml:1:11: a.from: expected a whole number, found "x"`)
}

type wantsNil struct{}

func (*wantsNil) UnmarshalYAML(unmarshal func(any) error) error { return unmarshal(nil) }

func TestC9_a_wrong_argument_inside_UnmarshalYAML_is_an_error(t *testing.T) {
	t.Parallel()
	var got struct{ A wantsNil }
	assert.EqualError(t, decode("a: 1", &got), "config.yaml:1:4: a: UnmarshalYAML needs a pointer that is not nil to decode into")
}
