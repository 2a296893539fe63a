package fxconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fxkit/fxkit/internal/fxloc"
)

// A Source is where configuration comes from: File, Optional, Layers, Text or Value. It is read by each Load anew,
// so it may be used in several.
type Source interface {
	// load adds what is wrong with the YAML to the report. An error is any other failure.
	// A nil node says nothing.
	load(l *loading) (*node, error)
}

// loading is the state of one Load.
type loading struct {
	report report
	absent []string // optional files that do not exist
}

// DefaultSources are the file that the environment variable CONFIG_FILE names, or else config.yaml, and
// its layer for the environment that APP_ENV names, if that is set: config.<env>.yaml, which need not exist.
func DefaultSources() []Source {
	path := os.Getenv("CONFIG_FILE")
	hint := "CONFIG_FILE names it"
	if path == "" {
		path = "config.yaml"
		hint = "set the environment variable CONFIG_FILE to read another file"
	}
	sources := Layers(path, os.Getenv("APP_ENV"))
	if main, ok := sources[0].(fileSource); ok {
		main.hint = hint
		sources[0] = main
	}
	return sources
}

// File is a YAML file. That it does not exist is an error, which wraps fs.ErrNotExist.
func File(path string) Source { return fileSource{path: path} }

// Optional is s, or nothing if s is a File that does not exist. Any other failure remains an error.
func Optional(s Source) Source { return optionalSource{s} }

// Layers is File(path) and, unless env is empty, above it an optional file that has env before the extension:
// Layers("config.yaml", "prod") reads config.yaml, then config.prod.yaml if it exists.
func Layers(path, env string) []Source {
	sources := []Source{File(path)}
	if env == "" {
		return sources
	}
	if strings.ContainsAny(env, `/\`) {
		return append(sources, failedSource{fmt.Errorf("fxconfig: the environment %q is not part of a file name", env)})
	}
	dir, base := filepath.Split(path)
	ext := filepath.Ext(base)
	if ext == base { // .config has no extension
		ext = ""
	}
	return append(sources, Optional(File(dir+strings.TrimSuffix(base, ext)+"."+env+ext)))
}

// Text is YAML from a string. In errors name stands for the file.
func Text(name, yaml string) Source {
	if name == "" {
		name = "text"
	}
	return textSource{name, yaml}
}

// Value is one Go value at a dotted path; the empty path is the whole. It is taken literally: nothing in it is expanded.
// Maps, structs (by their yaml tags), slices, text, numbers, booleans, Secret, and what has MarshalYAML or
// MarshalText are values; nil is YAML's null. Errors name the line that called Value.
func Value(path string, value any) Source {
	return valueSource{path: path, value: value, caller: fxloc.Caller(0)}
}

type fileSource struct{ path, hint string }

func (s fileSource) load(l *loading) (*node, error) {
	text, err := readFile(s.path)
	if err != nil {
		if s.hint != "" && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("fxconfig: read configuration: %w (%s)", err, s.hint)
		}
		return nil, fmt.Errorf("fxconfig: read configuration: %w", err)
	}
	return parse(s.path, text, &l.report), nil
}

// readFile stops reading where parse would refuse the document, so /dev/zero ends.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

type optionalSource struct{ source Source }

func (s optionalSource) load(l *loading) (*node, error) {
	if s.source == nil {
		return nil, errNilSource
	}
	n, err := s.source.load(l)
	var missing *fs.PathError
	if errors.Is(err, fs.ErrNotExist) && errors.As(err, &missing) {
		l.absent = append(l.absent, missing.Path)
		return nil, nil
	}
	return n, err
}

type textSource struct{ name, yaml string }

func (s textSource) load(l *loading) (*node, error) {
	return parse(s.name, []byte(s.yaml), &l.report), nil
}

type valueSource struct {
	path   string
	value  any
	caller string
}

func (s valueSource) load(l *loading) (*node, error) {
	keys, err := splitPath(s.path)
	if err != nil {
		return nil, fmt.Errorf("%w, given to fxconfig.Value at %s", err, s.caller)
	}
	e := encoder{file: &file{name: s.caller}}
	n, err := e.value(s.value)
	if err != nil {
		return nil, fmt.Errorf("fxconfig: Value(%q) at %s: %w", s.path, s.caller, err)
	}
	for i := len(keys) - 1; i >= 0; i-- {
		n = e.mapping([]entry{{key: keys[i], value: n}})
	}
	return n, nil
}

type failedSource struct{ err error }

func (s failedSource) load(*loading) (*node, error) { return nil, s.err }

var errNilSource = errors.New("fxconfig: a Source is nil")

func (s fileSource) String() string { return fmt.Sprintf("File(%q)", s.path) }

func (s optionalSource) String() string { return fmt.Sprintf("Optional(%v)", s.source) }

func (s textSource) String() string { return fmt.Sprintf("Text(%q, …)", s.name) }

func (s valueSource) String() string { return fmt.Sprintf("Value(%q, …)", s.path) }

func (s failedSource) String() string { return s.err.Error() }

// What %#v prints, for the sources that hold values: they may be secrets.

func (s textSource) GoString() string     { return s.String() }
func (s optionalSource) GoString() string { return s.String() }
func (s valueSource) GoString() string    { return s.String() }
