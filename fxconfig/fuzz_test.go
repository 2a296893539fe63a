package fxconfig_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
)

// C4: whatever the document, Load and Decode end soon, with a result or with an *Error; and what they read is what yaml.v3 reads.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "a: 1", "a: [1, {b: c}]", bomb(), chain(20), "a: &a {x: 1}\nb: {<<: *a, y: 2}", "a: *b", "a: &a [*a]", "? [a]\n: b", "\ufeffa: 1", "a:\r\n  - b\r\n",
		"a: 1\n---\nb: 2", "---\n...\n---\n", "%YAML 1.1\n---\na: !!int \"1\"", "a: !!binary aGk=", "a: |\n  x\n  y\nb: >-\n  z", "a: 'it''s'\nb: \"\\u263a\\\n x\"",
		"a: ${FXC_NO:1}\nb: '$${x}'", "\xff\xfe", "\x00", "\t", "- - - -", "{a: {a: {a:", "a: .inf\nb: 0x1f\nc: 1_0\nd: 2001-01-01\ne: ~", "<<: {a: 1}", "<<: {? }", "a: !x {b: !y c}",
		"a: &x b\n*x : c", strings.Repeat("[", 200), strings.Repeat("{a: ", 200), "a: 1\na: 2", "!!null x", "!!map x", "- !!float 0x10\n- !!bool yes",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		began := time.Now()
		c, err := fxconfig.Load(fxconfig.Text("f", string(document)))
		if err == nil {
			var got any
			if err = c.Decode(&got); err == nil {
				same(t, document, got)
			}
		}
		if err != nil {
			checkError(t, err)
		}
		// Ten times the second of C4: the machine may be busy. A quadratic mistake takes more.
		require.Less(t, time.Since(began), 10*time.Second)
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var e *fxconfig.Error
	require.ErrorAs(t, err, &e)
	for _, p := range e.Problems {
		require.NotEmpty(t, p.Message)
		// Without any configuration a Validate method has no place to complain about.
		require.True(t, p.Position == "" || strings.HasPrefix(p.Position, "f"), "%q", p.Position)
	}
}

// same compares with yaml.v3 where that has an opinion. It has no strings of its own for keys that are not text, and what it makes of a tag
// that does not fit its value (!!float 010 is 8) is its own. From what is merged it drops a key that is null.
func same(t *testing.T, document []byte, got any) {
	t.Helper()
	for _, own := range []string{"${", "!", "<<"} {
		if strings.Contains(string(document), own) {
			return
		}
	}
	var want any
	err := func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("yaml.v3: %v", v)
			}
		}()
		return yaml.Unmarshal(document, &want)
	}()
	if err != nil || !comparable(want) {
		return
	}
	require.True(t, equal(want, got), "yaml.v3 reads %#v, we %#v", want, got)
}

func comparable(v any) bool {
	switch v := v.(type) {
	case map[any]any:
		return false
	case map[string]any:
		for _, x := range v {
			if !comparable(x) {
				return false
			}
		}
	case []any:
		for _, x := range v {
			if !comparable(x) {
				return false
			}
		}
	}
	return true
}

func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if v, ok := y[k]; !ok || !equal(x[k], v) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || math.IsNaN(x) && math.IsNaN(y))
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	}
	return reflect.DeepEqual(a, b)
}

type fuzzed struct {
	A  int8
	B  *fuzzed
	C  []fuzzed
	D  map[string]fuzzed
	E  fxconfig.Secret
	F  time.Duration
	G  fxconfig.Size
	H  [2]float32
	I  any
	J  map[int]bool
	K  *yaml.Node
	L  byNode
	M  byFunc
	N  byText
	O  time.Time
	P  []byte
	Q  uint16
	R  leaf
	In struct{ X, Y string } `yaml:",inline"`
}

// C3, C4, C7: whatever two layers hold, decoding ends with a value or an *Error, twice the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range [][2]string{
		{"a: 1\nb: {a: 2}", "b: {b: {c: [{}, {a: 3}]}}"},
		{"d: {x: {y: z}}", "d: null"},
		{"e: s\nf: 1s\ng: 4MiB\nh: [1, 2.5]", "h: [1]"},
		{"i: {j: [1]}\nj: {1: true, 0x1: no}", "i: [2]"},
		{"k: {a: &a 1, b: *a}\nl: {x: 1}\nm: [a]\nn: t", "l: x\nm: {items: [b], limit: {max: 1}}"},
		{"o: 2001-01-01\np: !!binary aGk=\nq: 65536", "o: x\np: text"},
		{"r: {name: ''}", "x: 1\ny: z\nz: 0"},
		{"a: 300\nb: 5\nc: 5\nd: 5", "zz: 1"},
		{"a: '${FXC_NO:5}'\nl: {x: '${FXC_NO}'}", "m: ['${FXC_NO:?msg}']"},
		{"b: &b {c: [*b]}", "b: {<<: {a: 1}}"},
		{"[1]", "a: 1"},
		{"", "null"},
	} {
		f.Add(seed[0], seed[1], "b", "d.x")
	}
	f.Fuzz(func(t *testing.T, base, over, path, second string) {
		began := time.Now()
		c, err := fxconfig.Load(fxconfig.Text("f1", base), fxconfig.Text("f2", over))
		if err != nil {
			checkError(t, err)
			return
		}
		for _, paths := range [][]string{nil, {path}, {path, second}, {"", second, path}} {
			var one, two fuzzed
			err := c.Decode(&one, paths...)
			again := c.Decode(&two, paths...)
			require.Equal(t, err == nil, again == nil)
			if err != nil {
				require.Equal(t, err.Error(), again.Error())
				var e *fxconfig.Error
				if errors.As(err, &e) {
					checkError(t, err)
				} else {
					require.ErrorContains(t, err, "fxconfig: path")
				}
			} else if !strings.Contains(strings.ToLower(base+over), "nan") {
				assert.True(t, reflect.DeepEqual(one, two))
			}
		}
		c.Has(path)
		for _, key := range c.Keys(path) {
			require.True(t, path == "" && c.Has(fxconfig.Path(key)) || path != "" && c.Has(path+"."+fxconfig.Path(key)))
		}
		require.Equal(t, c.Has(path), c.Origin(path) != "")
		require.Less(t, time.Since(began), 10*time.Second)
	})
}
