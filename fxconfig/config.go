package fxconfig

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// A Config is the configuration of an application: its sources merged, with the environment's variables in place.
// It never changes and may be read by many goroutines at once. The zero Config, and a nil *Config, are empty.
type Config struct {
	root   *node
	absent []string
}

// Load reads the sources, lays each above the ones before it, and expands ${…} in the result. Without sources it
// reads DefaultSources. What is wrong in the YAML of any source is a *Error with all its problems;
// what cannot be read is an error of package os.
//
// A variable that is not set is reported by what decodes the value, so that no one has to set what only an unused section wants.
func Load(sources ...Source) (*Config, error) {
	if len(sources) == 0 {
		sources = DefaultSources()
	}
	var l loading
	var failures []error
	var root *node
	for _, s := range sources {
		if s == nil {
			s = failedSource{errNilSource}
		}
		n, err := s.load(&l)
		if err != nil {
			failures = append(failures, err)
		}
		if !n.isNull() { // an empty layer changes nothing
			root = merge(root, n, 0)
		}
	}
	if err := l.report.err(); err != nil {
		failures = append(failures, err)
	}
	switch len(failures) {
	case 0:
		return &Config{root: expand(root), absent: l.absent}, nil
	case 1:
		return nil, failures[0]
	}
	return nil, errors.Join(failures...)
}

// Decode is Fill, and then Validate of what was filled, with positions.
func (c *Config) Decode(into any, paths ...string) error {
	return c.decode(into, paths, true)
}

// Fill merges the sections at paths, where a later one wins, and decodes the result into what into points to.
// Without paths it takes the whole configuration. What the sections do not mention stays as it was, and so does everything if they are absent,
// empty or null: Fill above defaults. Inside a section null sets a field to its zero value, lists are replaced, and maps are merged.
//
// Decoding is strict: a key that into has no field for, or a value of another type, is a problem of the *Error it
// returns, which holds all of them. into may then be filled in part.
func (c *Config) Fill(into any, paths ...string) error {
	return c.decode(into, paths, false)
}

// Validate is the function Validate with the positions and paths of the sections that v was filled from: for
// a value that code has changed since Fill.
func (c *Config) Validate(v any, paths ...string) error {
	s, err := c.section(paths)
	if err != nil {
		return err
	}
	return validate(v, s)
}

func (c *Config) decode(into any, paths []string, andValidate bool) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("fxconfig: decode %s: needs a pointer that is not nil to decode into, not %T", quotePaths(paths), into)
	}
	s, err := c.section(paths)
	if err != nil {
		return err
	}
	if err := fill(v.Elem(), s); err != nil || !andValidate {
		return err
	}
	return validate(into, s)
}

// Get decodes what stands at path: its zero value if nothing does.
func Get[T any](c *Config, path string) (T, error) {
	var v T
	if err := c.Decode(&v, path); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// Has tells whether anything stands at path, be it empty or null.
func (c *Config) Has(path string) bool {
	n, _, _, _ := c.find(path)
	return n != nil
}

// Keys are the keys of the mapping at path in file order: those of the first source, then what each later one adds. They are
// not quoted; Path(key) makes a path of one. Nil if there is no mapping.
func (c *Config) Keys(path string) []string {
	n, _, _, _ := c.find(path)
	if n == nil || n.kind != mappingKind {
		return nil
	}
	keys := make([]string, len(n.entries))
	for i := range n.entries {
		keys[i] = n.entries[i].key
	}
	return keys
}

// Origin is where what stands at path was set: "config.prod.yaml:12:5", the place of its key, or of the
// item of a list. Of a mapping that several sources have it is the last one's. For a Value it is the line of Go
// that called Value. Empty if nothing stands there.
func (c *Config) Origin(path string) string {
	n, line, col, _ := c.find(path)
	if n == nil {
		return ""
	}
	return n.file.position(line, col)
}

// find gives what stands at path, and where its key does. An error is about the path.
func (c *Config) find(path string) (n *node, line, col int32, err error) {
	if c != nil && c.root != nil {
		n, line, col = c.root, c.root.line, c.root.col
	}
	rest := path
	for more := path != ""; more; {
		var key string
		if key, rest, more, err = cutPath(rest); err != nil {
			return nil, 0, 0, pathError(path, err)
		}
		n, line, col = n.child(key)
	}
	return n, line, col, nil
}

// A section is what Decode decodes: the merge of what stands at some paths.
type section struct {
	config *Config
	node   *node    // nil if nothing stands there
	paths  []string // what the problems' paths begin with; an entry's from is an index+1
	main   int      // the index of the path for what has no from
}

var whole = []string{""}

func (c *Config) section(paths []string) (section, error) {
	if len(paths) == 0 {
		paths = whole
	}
	s := section{config: c, paths: paths, main: len(paths) - 1}
	for i, path := range paths {
		n, _, _, err := c.find(path)
		if err != nil {
			return s, err
		}
		if n.isNull() {
			continue // an empty section changes nothing
		}
		if s.node == nil {
			s.node = n
		} else {
			s.node = merge(s.node, n, uint16(s.main+1))
		}
		s.main = i
	}
	return s, nil
}

// position is where the section stands; for one that is absent, the nearest thing that would hold it.
func (s section) position() string {
	keys, _ := splitPath(s.paths[s.main])
	for ; ; keys = keys[:len(keys)-1] {
		n, line, col, _ := s.config.find(Path(keys...))
		if n != nil {
			return n.file.position(line, col)
		}
		if len(keys) == 0 {
			return ""
		}
	}
}

func quotePaths(paths []string) string {
	if len(paths) == 0 {
		paths = whole
	}
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = strconv.Quote(p)
	}
	return strings.Join(quoted, " with ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
