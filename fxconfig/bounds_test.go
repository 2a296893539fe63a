package fxconfig_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
)

const mebibyte = 1 << 20

func fill10MiB(before, pattern, after string) string {
	return before + strings.Repeat(pattern, (10*mebibyte-len(before)-len(after))/len(pattern)) + after
}

// tooMany repeats what stands, or seems to stand, for at least one value.
func tooMany(before, pattern, after string) string {
	return before + strings.Repeat(pattern, 1_010_000/max(1, strings.Count(pattern, ","))) + after
}

// slowUnderRace leaves large documents to runs without the race detector, which has nothing to find in a parser.
func slowUnderRace(t *testing.T, document string) {
	t.Helper()
	if underRace && len(document) > mebibyte {
		t.Skip("large")
	}
}

// bomb is ten levels of nine aliases each: 3.4 billion values in 600 bytes.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 8), i-1)
	}
	return b.String()
}

// chain is mappings that each merge the one before, which makes n*n/2 keys of n lines.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("m0: &m0 {k0: 1}\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "m%d: &m%d {<<: *m%d, k%d: 1}\n", i, i, i-1, i)
	}
	return b.String()
}

// staircase nests through aliases what no parser sees as deep.
func staircase() string {
	var b strings.Builder
	b.WriteString("d0: &d0 x\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "d%d: &d%d %s*d%d%s\n", i, i, strings.Repeat("[", 1000), i-1, strings.Repeat("]", 1000))
	}
	return b.String()
}

func TestC4_what_goes_beyond_the_bounds_is_an_error_at_little_cost(t *testing.T) {
	// Not parallel: it counts what is allocated.
	for _, tt := range []struct{ name, yaml, want string }{
		{"one byte too many", strings.Repeat(" ", 10*mebibyte+1), "is larger than 10 MiB"},
		{"10 MiB of numbers", fill10MiB("[", "1,", "]"), "has more than 1000000 values"},
		{"10 MiB of explicit keys", fill10MiB("[", "?,", "]"), "has more than 1000000 values"},
		{"empty lists", tooMany("[", "[],", "]"), "has more than 1000000 values"},
		{"texts", tooMany("[", "\"\",\n", "]"), "has more than 1000000 values"},
		{"a flow mapping", tooMany("{", "a: b,", "}"), "has more than 1000000 values"},
		{"a block list", tooMany("", "- 1\n", ""), "has more than 1000000 values"},
		{"a block list of nothing", tooMany("", "-\n", ""), "has more than 1000000 values"},
		{"a block mapping", tooMany("", "\"a\":\n", ""), "has more than 1000000 values"},
		{"explicit keys in block style", tooMany("", "? a\n", ""), "has more than 1000000 values"},
		{"anchors", tooMany("", "- &a x\n", ""), "has more than 1000000 values"},
		{"values after a block of text", tooMany("a: |\n  x\nb: [", "1,", "]"), "has more than 1000000 values"},
		{"values after quotes", tooMany("a: \"[\\\"\"\nb: '[''\"['\nc: x'y\nd: [", "1,", "]"), "has more than 1000000 values"},
		{"brackets", tooMany("", "[", ""), "has more than 1000000 values"},
		{"10 MiB of lists on one line", fill10MiB("", "[] ", ""), "did not find expected <document start>"},
		{"brackets 10,001 deep", strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), "exceeded max depth of 10000"},
		{"dashes 10,001 deep", strings.Repeat("- ", 10_001) + "x", "exceeded max depth of 10000"},
		{"an alias bomb", bomb(), "more than 1000000 values, aliases counted"},
		{"a chain of merges", chain(10_000), "more than 1000000 values, those merged with << counted"},
		{"deep through aliases", staircase(), "nested deeper than 10000, aliases counted"},
		{"an anchor in itself", "a: &a [1, {b: *a}]", "config.yaml:1:15: a.1.b: the anchor &a contains itself"},
		{"a merge of itself", "a: &a {<<: *a}", "config.yaml:1:12: a: the anchor &a contains itself"},
		{"UTF-16", "\xff\xfea\x00:\x00 \x001\x00", "config.yaml:1:1: is not UTF-8"},
		{"Latin-1", "a: 1\nb: caf\xe9\n", "config.yaml:2:7: is not UTF-8"},
		{"at the very end", fill10MiB("", "x", "\xff"), "is not UTF-8"},
		{"zero bytes", strings.Repeat("\x00", 10*mebibyte), "config.yaml:1:1: control characters are not allowed"},
		{"documents without end", fill10MiB("", "---\n", ""), "is a second document"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slowUnderRace(t, tt.yaml)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := fxconfig.Load(fxconfig.Text("config.yaml", tt.yaml))
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, tt.want)
			require.Error(t, err)
			problems(t, err)
			assert.Less(t, len(err.Error()), 1000)
			assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(256), "MiB")
		})
	}
}

func TestC4_what_is_within_the_bounds_is_read(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, yaml string
		want       func(any) any
		is         any
	}{
		{"a text of almost 10 MiB", fill10MiB("a: ", "x", ""), func(v any) any { return len(v.(map[string]any)["a"].(string)) }, 10*mebibyte - 3},
		{"a block of what looks like values", tooMany("a: |\n", "  - 1, b: [c,\n", ""), func(v any) any { return len(v.(map[string]any)) }, 1},
		{"the same in quotes", tooMany("a: \"", "\n - 1, [b:", "\""), func(v any) any { return len(v.(map[string]any)) }, 1},
		{"in a quoted item of a flow list", tooMany("[\"", "1,[", "\"]"), func(v any) any { return len(v.([]any)) }, 1},
		{"in comments", tooMany("a: 1\n#", " - 1, b: [c,", "\n"), func(v any) any { return v.(map[string]any)["a"] }, 1},
		{"in a folded block in a list", tooMany("- a: >-\n    ", "- 1,", "\n- b\n"), func(v any) any { return len(v.([]any)) }, 2},
		{"brackets 10,000 deep", strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999), depthOf, 9_999},
		{"an anchor used often", "a: &a {x: [1, 2]}\nb: [" + strings.Repeat("*a, ", 10_000) + "]", func(v any) any { return len(v.(map[string]any)["b"].([]any)) }, 10_000},
		{"a BOM", "\ufeffa: 1", func(v any) any { return v.(map[string]any)["a"] }, 1},
		{"CRLF", "a: 1\r\nb:\r\n  - x\r\n", func(v any) any { return fmt.Sprint(v) }, "map[a:1 b:[x]]"},
		{"document markers", "%YAML 1.1\n---\na: 1\n...\n", func(v any) any { return v.(map[string]any)["a"] }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			slowUnderRace(t, tt.yaml)
			assert.Equal(t, tt.is, tt.want(tree(t, load(t, tt.yaml))))
		})
	}
}

func depthOf(v any) any {
	depth := 0
	for {
		list, ok := v.([]any)
		if !ok {
			return depth
		}
		depth++
		if len(list) == 0 {
			return depth
		}
		v = list[0]
	}
}

func TestC4_the_bound_is_a_million_values(t *testing.T) {
	t.Parallel()
	if underRace {
		t.Skip("parses a million values")
	}
	// Nine of ten values are behind aliases, so that this is quick.
	document := func(n int) string {
		return "- &a [" + strings.Repeat("x,", 99_999) + "]\n" + strings.Repeat("- *a\n", 8) + "- [" + strings.Repeat("y,", n) + "]\n"
	}
	const rest = 1_000_000 - 9*100_000 - 1 - 1 // the root, and the last list
	assert.True(t, load(t, document(rest)).Has("9.0"))
	_, err := fxconfig.Load(fxconfig.Text("config.yaml", document(rest+1)))
	assert.ErrorContains(t, err, "config.yaml:1:1: more than 1000000 values, aliases counted")
}

// Looking through all pairs of 100,000 keys would take minutes under -race.
func TestC4_duplicate_keys_are_found_in_linear_time(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	b.WriteString("key77: 2\n")
	_, err := fxconfig.Load(fxconfig.Text("config.yaml", b.String()))
	require.EqualError(t, err, "config.yaml:100001:1: key77: duplicate key, first set at config.yaml:78:1")
}

func TestC4_large_mappings_merge_and_decode_in_linear_time(t *testing.T) {
	t.Parallel()
	m := map[string]int{}
	for i := range 30_000 {
		m[fmt.Sprint("key", i)] = i
	}
	c, err := fxconfig.Load(fxconfig.Value("a", m), fxconfig.Value("a", m), fxconfig.Value("b", m))
	require.NoError(t, err)
	got := map[string]leafless{}
	require.NoError(t, c.Decode(&got, "a", "b"))
	assert.Len(t, got, 30_000)
	assert.Equal(t, leafless(77), got["key77"])
}

type leafless int

func (leafless) Validate() error { return nil }

func TestC4_a_value_made_by_code_is_bounded_too(t *testing.T) {
	t.Parallel()
	deep := any(1)
	for range 10_001 {
		deep = []any{deep}
	}
	_, err := fxconfig.Load(fxconfig.Value("", deep))
	require.ErrorContains(t, err, "nested deeper than 10000")
	cycle := &yaml.Node{Kind: yaml.SequenceNode}
	cycle.Content = []*yaml.Node{cycle}
	_, err = fxconfig.Load(fxconfig.Value("", cycle))
	require.ErrorContains(t, err, "nested deeper than 10000")
	if underRace {
		t.Skip("a million values")
	}
	wide := any(1)
	for range 10 {
		wide = []any{wide, wide, wide, wide, wide, wide, wide, wide, wide}
	}
	_, err = fxconfig.Load(fxconfig.Value("", wide))
	assert.ErrorContains(t, err, "has more than 1000000 values")
}
