package fxconfig_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxconfig"
)

var errEmpty = errors.New("must not be empty")

type leaf struct {
	Name string
	Size int
}

func (l leaf) Validate() error {
	var errs []error
	if l.Name == "" {
		errs = append(errs, fxconfig.At("name", errEmpty))
	}
	if l.Size < 0 {
		errs = append(errs, errors.New("size is negative"))
	}
	return errors.Join(errs...)
}

type port int

func (p *port) Validate() error { // by pointer
	if *p > 100 {
		return fmt.Errorf("%d is above 100", *p)
	}
	return nil
}

type branch struct {
	Leaf    leaf
	Pointer *leaf
	List    []leaf
	Ports   []port
	Array   [1]port
	Map     map[string]leaf
	ByInt   map[int]*leaf
	Any     any
	Inline  inlineLeaf `yaml:",inline"`
	Skipped leaf       `yaml:"-"`
	hidden  leaf
}

type inlineLeaf struct{ Level int }

func (l inlineLeaf) Validate() error {
	if l.Level > 9 {
		return fxconfig.At("level", errors.New("is above 9"))
	}
	return nil
}

func TestC5_validation_errors_carry_path_and_position(t *testing.T) {
	t.Parallel()
	c := load(t, `a:
  leaf: {name: ""}
  pointer: {size: 1}
  list: [{name: x}, {name: y, size: -1}]
  ports: [1, 200]
  array: [101]
  map: {good: {name: x}, "b.ad": {}}
  byint: {7: {name: ""}}
  level: 10
`, `a: {leaf: {size: -5}}`)
	var got branch
	got.Skipped.Name = "x"
	err := c.Decode(&got, "a")
	require.EqualError(t, err, `config.yaml:2:10: a.leaf.name: must not be empty
config.yaml:3:3: a.pointer.name: must not be empty
config.yaml:4:21: a.list.1: size is negative
config.yaml:5:14: a.ports.1: 200 is above 100
config.yaml:6:11: a.array.0: 101 is above 100
config.yaml:7:26: a.map."b.ad".name: must not be empty
config.yaml:8:15: a.byint.7.name: must not be empty
config.yaml:9:3: a.level: is above 9
config.x.yaml:1:5: a.leaf: size is negative`)
	require.ErrorIs(t, err, errEmpty)
	assert.Len(t, problems(t, err), 9)
	require.NoError(t, c.Fill(&got, "a"), "Fill does not validate")
}

func TestC5_what_is_absent_is_reported_at_the_nearest_place_there_is(t *testing.T) {
	t.Parallel()
	c := load(t, "x: 1\na:\n  b: {}\n")
	for path, want := range map[string]string{
		"a.b":     "config.yaml:3:3: a.b.name: must not be empty",
		"a.c":     "config.yaml:2:1: a.c.name: must not be empty",
		"a.c.d.e": "config.yaml:2:1: a.c.d.e.name: must not be empty",
		"other":   "config.yaml:1:1: other.name: must not be empty",
	} {
		var l leaf
		assert.EqualError(t, c.Decode(&l, path), want)
	}
	var l leaf
	var none *fxconfig.Config
	assert.EqualError(t, none.Decode(&l, "a"), "a.name: must not be empty")
}

func TestC5_of_merged_sections_each_problem_names_its_own(t *testing.T) {
	t.Parallel()
	c := load(t, "default: {leaf: {name: ''}, level: 11}\nmain: {leaf: {size: -1}, pointer: {name: ''}}")
	var got branch
	got.Skipped.Name = "x"
	err := c.Decode(&got, "default", "main")
	require.EqualError(t, err, `config.yaml:1:18: default.leaf.name: must not be empty
config.yaml:1:29: default.level: is above 9
config.yaml:2:8: main.leaf: size is negative
config.yaml:2:36: main.pointer.name: must not be empty`)
}

func TestC5_a_value_changed_by_code_is_validated_with_positions(t *testing.T) {
	t.Parallel()
	c := load(t, "a: {leaf: {name: x}}")
	var got branch
	require.NoError(t, c.Fill(&got, "a"))
	got.Skipped.Name, got.Leaf.Name = "x", ""
	assert.EqualError(t, c.Validate(&got, "a"), "config.yaml:1:12: a.leaf.name: must not be empty")
	assert.EqualError(t, fxconfig.Validate(got), "leaf.name: must not be empty")
	assert.ErrorContains(t, c.Validate(&got, "a..b"), "a key is empty")
}

func TestC5_Validate_reaches_all_that_a_value_contains(t *testing.T) {
	t.Parallel()
	good := leaf{Name: "x"}
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"the value itself", leaf{}, "name: must not be empty"},
		{"behind pointers", new(new(leaf)), "name: must not be empty"},
		{"a number by pointer", port(200), "200 is above 100"},
		{"an interface", branch{Leaf: good, Skipped: good, Any: leaf{}}, "any.name: must not be empty"},
		{"an interface with a map", branch{Leaf: good, Skipped: good, Any: map[string]any{"k": []any{leaf{}}}}, "any.k.0.name: must not be empty"},
		{"a field without a key", branch{Leaf: good}, "Skipped.name: must not be empty"},
		{"a map's values", map[string]port{"b": 101, "a": 102}, "a: 102 is above 100\nb: 101 is above 100"},
		{"not what is unexported", branch{Leaf: good, Skipped: good, hidden: leaf{}}, ""},
		{"nil", nil, ""},
		{"nil pointers and maps", branch{Leaf: good, Skipped: good}, ""},
		{"a nil pointer", (*leaf)(nil), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := fxconfig.Validate(tt.value)
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tt.want)
		})
	}
}

type Zone struct{ Zone string }

func (z Zone) Validate() error {
	if z.Zone == "" {
		return fxconfig.At("zone", errEmpty)
	}
	return nil
}

type promoted struct {
	Zone  `yaml:",inline"` // lends promoted its Validate
	Other int
}

type unexportedPart struct {
	leaf  `yaml:",inline"` // out of reflection's reach but for its fields
	Other port
}

func TestC5_a_promoted_Validate_reports_once(t *testing.T) {
	t.Parallel()
	var got promoted
	assert.EqualError(t, decode("other: 1", &got), "config.yaml:1:1: zone: must not be empty")
	var other unexportedPart
	assert.EqualError(t, decode("other: 101", &other), "config.yaml:1:1: other: 101 is above 100\nconfig.yaml:1:1: name: must not be empty")
}

type ring struct {
	Next *ring
	All  map[string]*ring
}

func (r *ring) Validate() error { return errEmpty }

func TestC5_a_value_that_contains_itself_is_validated_once(t *testing.T) {
	t.Parallel()
	r := &ring{All: map[string]*ring{}}
	r.Next = &ring{Next: r}
	r.All["r"] = r
	assert.EqualError(t, fxconfig.Validate(r), "next: must not be empty\nmust not be empty")

	list := []any{leaf{}, nil}
	list[1] = list
	assert.EqualError(t, fxconfig.Validate(list), "0.name: must not be empty")
}

type nested struct{ Inner leaf }

func (n nested) Validate() error { return fxconfig.At("inner.deeper", fxconfig.Validate(n.Inner)) }

type wrapped struct{}

func (wrapped) Validate() error { return fmt.Errorf("two things: %w, %w", errEmpty, errCustom) }

func TestC5_errors_of_Validate_nest_and_keep_their_words(t *testing.T) {
	t.Parallel()
	assert.EqualError(t, fxconfig.Validate(nested{}), "inner.name: must not be empty\ninner.deeper.name: must not be empty")
	err := fxconfig.Validate(wrapped{})
	require.EqualError(t, err, "two things: must not be empty, custom error")
	require.ErrorIs(t, err, errEmpty)
	require.ErrorIs(t, err, errCustom)
	assert.NoError(t, fxconfig.At("a", nil))
}
