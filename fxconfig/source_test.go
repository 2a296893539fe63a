package fxconfig_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
)

// files writes files into a new folder and returns it.
func files(t testing.TB, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range contents {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

func TestFile_is_read_by_each_Load(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"config.yaml": "a: 1"})
	path := filepath.Join(dir, "config.yaml")
	source := fxconfig.File(path)
	for _, want := range []int{1, 2} {
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "a: %d", want), 0o600))
		c, err := fxconfig.Load(source)
		require.NoError(t, err)
		assert.Equal(t, map[string]any{"a": want}, tree(t, c))
		assert.Equal(t, path+":1:1", c.Origin("a"))
	}
}

func TestFile_that_is_missing_is_an_error_and_Optional_skips_it(t *testing.T) {
	t.Parallel()
	dir := files(t, nil)
	missing := filepath.Join(dir, "config.yaml")
	_, err := fxconfig.Load(fxconfig.File(missing))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, missing)
	c, err := fxconfig.Load(fxconfig.Optional(fxconfig.File(missing)), fxconfig.Optional(fxconfig.Optional(fxconfig.File(missing))), fxconfig.Optional(fxconfig.Text("t", "a: 1")))
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, c.Keys(""))

	_, err = fxconfig.Load(fxconfig.Optional(fxconfig.File(dir)))
	require.Error(t, err, "a folder is no file, and is there")
	assert.NotErrorIs(t, err, fs.ErrNotExist)
	_, err = fxconfig.Load(fxconfig.Optional(nil))
	assert.ErrorContains(t, err, "a Source is nil")
	_, err = fxconfig.Load(fxconfig.Optional(fxconfig.Text("t", "a: [")))
	assert.Error(t, err, "optional is not lenient")
}

func TestFile_without_end_is_not_read_to_it(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("no /dev/zero here")
	}
	_, err := fxconfig.Load(fxconfig.File("/dev/zero"))
	assert.EqualError(t, err, "/dev/zero: is larger than 10 MiB, the most that is read")
}

func TestLayers(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"config.yaml": "a: 1\nb: 1", "config.prod.yaml": "b: 2", "noext": "a: 3", "noext.prod": "a: 4", ".hidden": "a: 5", ".hidden.prod": "a: 6", "x.y.yaml": "a: 7", "x.y.prod.yaml": "a: 8",
	})
	for _, tt := range []struct {
		file, env string
		want      map[string]any
	}{
		{"config.yaml", "", map[string]any{"a": 1, "b": 1}},
		{"config.yaml", "prod", map[string]any{"a": 1, "b": 2}},
		{"config.yaml", "test", map[string]any{"a": 1, "b": 1}},
		{"noext", "prod", map[string]any{"a": 4}},
		{".hidden", "prod", map[string]any{"a": 6}},
		{"x.y.yaml", "prod", map[string]any{"a": 8}},
	} {
		c, err := fxconfig.Load(fxconfig.Layers(filepath.Join(dir, tt.file), tt.env)...)
		require.NoError(t, err)
		assert.Equal(t, tt.want, tree(t, c), "%s %s", tt.file, tt.env)
	}
	for _, env := range []string{"../x", `a\b`} {
		_, err := fxconfig.Load(fxconfig.Layers(filepath.Join(dir, "config.yaml"), env)...)
		assert.ErrorContains(t, err, "is not part of a file name", env)
	}
	_, err := fxconfig.Load(fxconfig.Layers(filepath.Join(dir, "nothing.yaml"), "prod")...)
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestDefaultSources_follow_the_environment(t *testing.T) {
	dir := files(t, map[string]string{"config.yaml": "a: 1", "config.prod.yaml": "b: 2", "other.yaml": "a: 3", "other.prod.yaml": "a: 4"})
	t.Chdir(dir)
	t.Setenv("CONFIG_FILE", "")
	t.Setenv("APP_ENV", "")
	c, err := fxconfig.Load()
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": 1}, tree(t, c))
	assert.Equal(t, "config.yaml:1:1", c.Origin("a"))

	t.Setenv("APP_ENV", "prod")
	c, err = fxconfig.Load(fxconfig.DefaultSources()...)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": 1, "b": 2}, tree(t, c))

	t.Setenv("CONFIG_FILE", filepath.Join(dir, "other.yaml"))
	c, err = fxconfig.Load()
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": 4}, tree(t, c))

	t.Setenv("CONFIG_FILE", "gone.yaml")
	_, err = fxconfig.Load()
	assert.EqualError(t, err, "fxconfig: read configuration: open gone.yaml: no such file or directory (CONFIG_FILE names it)")
	t.Setenv("CONFIG_FILE", "")
	require.NoError(t, os.Remove("config.yaml"))
	_, err = fxconfig.Load()
	assert.EqualError(t, err,
		"fxconfig: read configuration: open config.yaml: no such file or directory (set the environment variable CONFIG_FILE to read another file)")
}

func TestValue_is_what_Decode_would_find(t *testing.T) {
	t.Parallel()
	type inner struct {
		A int `yaml:"a"`
		B int `yaml:"b,omitempty"`
	}
	type whole struct {
		Text     string
		Secret   fxconfig.Secret
		Int      int
		Uint     uint64
		Float    float64
		Bool     bool
		Duration time.Duration
		Size     fxconfig.Size
		Time     time.Time
		List     []inner
		Array    [2]int
		Map      map[string]inner
		ByInt    map[int]string
		Pointer  *inner
		Nil      *inner
		Bytes    []byte
		Any      any
		Text2    byTextOut
		Inline   inner          `yaml:",inline"`
		Rest     map[string]int `yaml:",inline"`
	}
	want := whole{
		Text: "${X} 5", Secret: "s", Int: -5, Uint: 1 << 63, Float: 1.5, Bool: true, Duration: 90 * time.Second, Size: 4 << 20,
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), List: []inner{{A: 1, B: 2}}, Array: [2]int{1, 2}, Map: map[string]inner{"x.y": {A: 3}},
		ByInt: map[int]string{-1: "a"}, Pointer: &inner{A: 4}, Bytes: []byte{0, 255}, Any: map[string]any{"k": []any{1, "x", nil, true, 2.5}},
		Text2: byTextOut{"t"}, Inline: inner{A: 5}, Rest: map[string]int{"left": 6},
	}
	for path, into := range map[string]any{"": want, "a.b": &want, `a."b.c"`: want} {
		c, err := fxconfig.Load(fxconfig.Value(path, into))
		require.NoError(t, err)
		var got whole
		require.NoError(t, c.Decode(&got, path), path)
		assert.Equal(t, want, got, path)
	}
}

type byTextOut struct{ X string }

func (b byTextOut) MarshalText() ([]byte, error)     { return []byte("<" + b.X), nil }
func (b *byTextOut) UnmarshalText(text []byte) error { b.X = string(text[1:]); return nil }

type byYAML struct{ err error }

func (b byYAML) MarshalYAML() (any, error) { return map[string]int{"x": 1}, b.err }

func TestValue_replaces_clears_and_merges(t *testing.T) {
	t.Parallel()
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte("x: &x {y: '${X}'}\nz: *x"), &document))
	c, err := fxconfig.Load(
		fxconfig.Text("t", "a: {b: 1, c: 2}\nd: [1]\ne: 5"),
		fxconfig.Value("a.b", 3), fxconfig.Value("d", []string{}), fxconfig.Value("e", nil), fxconfig.Value("f", byYAML{}),
		fxconfig.Value("node", document), fxconfig.Value("node.z.more", &document),
	)
	require.NoError(t, err)
	x := map[string]any{"y": "${X}"}
	assert.Equal(t, map[string]any{
		"a": map[string]any{"b": 3, "c": 2}, "d": []any{}, "e": nil, "f": map[string]any{"x": 1},
		"node": map[string]any{"x": x, "z": map[string]any{"y": "${X}", "more": map[string]any{"x": x, "z": x}}},
	}, tree(t, c))
	_, err = fxconfig.Get[int](load(t, ""), "a")
	require.NoError(t, err)
	for _, f := range []any{math.Inf(1), math.Inf(-1), 1e300, float32(0.1), -0.5} {
		c, err = fxconfig.Load(fxconfig.Value("f", f))
		require.NoError(t, err)
		got, err := fxconfig.Get[float64](c, "f")
		require.NoError(t, err)
		assert.InDelta(t, f, got, 1e-8)
		_, err = fxconfig.Get[any](c, "f")
		require.NoError(t, err)
	}
	c, err = fxconfig.Load(fxconfig.Value("port", "8080"))
	require.NoError(t, err)
	_, err = fxconfig.Get[int](c, "port")
	assert.ErrorContains(t, err, `port: expected a whole number, found the text "8080"`, "text is not a number, from code either")
}

func TestValue_that_has_no_form_in_YAML_is_an_error_at_its_caller(t *testing.T) {
	t.Parallel()
	type loop struct{ Next any }
	circle := &loop{}
	circle.Next = circle
	failed := errors.New("failed")
	for name, value := range map[string]any{
		"a chan (chan int) has no form in YAML": make(chan int), "a func": func() {}, "contains itself": circle, "a complex128": map[string]any{"x": 1i},
		"failed": byYAML{failed}, "a chan ": []any{struct{ X chan int }{make(chan int)}}, "two fields": struct {
			A int `yaml:"x"`
			B int `yaml:"x"`
		}{}, `two keys of a map are both written "1"`: map[any]int{1: 1, "1": 2},
	} {
		_, err := fxconfig.Load(fxconfig.Value("a.b", value))
		assert.ErrorContains(t, err, name)
		assert.ErrorContains(t, err, `fxconfig: Value("a.b") at `)
		assert.ErrorContains(t, err, "source_test.go:")
	}
	_, err := fxconfig.Load(fxconfig.Value("", byYAML{failed}))
	require.ErrorIs(t, err, failed)
	_, err = fxconfig.Load(fxconfig.Value("a..b", 1))
	assert.ErrorContains(t, err, `fxconfig: path "a..b": a key is empty (one that is empty, or has dots, needs quotes: a."b.c"), given to fxconfig.Value at `)
}

func TestSources_are_Stringers(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]fxconfig.Source{
		`File("a.yaml")`: fxconfig.File("a.yaml"), `Optional(File("a.yaml"))`: fxconfig.Optional(fxconfig.File("a.yaml")),
		`Text("t", …)`: fxconfig.Text("t", "a: 1"), `Text("text", …)`: fxconfig.Text("", "a: 1"), `Value("a.b", …)`: fxconfig.Value("a.b", 1),
	} {
		assert.Equal(t, want, fmt.Sprint(s))
	}
	assert.Contains(t, fmt.Sprint(fxconfig.Layers("a.yaml", "x/y")), "is not part of a file name")
}
