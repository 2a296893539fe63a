package fxconfig

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// Validate calls Validate() error on v and on everything it contains: exported fields, inline and embedded structs, items, the
// values of maps, what pointers and interfaces hold; first on the parts, then on the whole. All errors come in one
// *Error, each with the path of what it is about beneath v, and what errors.Join has joined one by one. At says
// that an error is about a key of the value that returns it.
func Validate(v any) error {
	return validate(v, section{paths: whole})
}

func validate(x any, s section) error {
	v := reflect.ValueOf(x)
	if !v.IsValid() {
		return nil
	}
	w := walker{trail: trail{paths: s.paths, main: s.main}, section: s}
	w.value(v, planOf(v.Type()), s.node)
	return w.report.err()
}

// A walker follows a Go value and the configuration that it was decoded from side by side.
type walker struct {
	trail
	report  report
	section section
	places  []string // of the steps: where each key stands, empty for one that the configuration does not have
	visited map[visit]bool
}

// visit is a pointer, map or slice that was validated.
type visit struct {
	pointer uintptr
	length  int
	plan    *plan
}

// value validates v; n is what the configuration has for it, or nil.
func (w *walker) value(v reflect.Value, p *plan, n *node) {
	if !p.validates {
		return
	}
	switch p.kind {
	case reflect.Pointer:
		if !v.IsNil() && w.first(v, p) {
			w.value(v.Elem(), p.elem, n)
		}
		return
	case reflect.Interface:
		if !v.IsNil() {
			v = v.Elem()
			w.value(v, planOf(v.Type()), n)
		}
		return
	case reflect.Struct:
		n, _ = p.latest(n)
		w.structure(v, p, n)
	case reflect.Map:
		if !v.IsNil() && w.first(v, p) {
			w.mapping(v, p, n)
		}
	case reflect.Slice, reflect.Array:
		if p.kind == reflect.Slice && !w.first(v, p) {
			return
		}
		for i := range v.Len() {
			w.child(v.Index(i), p.elem, n, strconv.Itoa(i))
		}
	}
	if p.validator {
		w.call(v, p, n)
	}
}

// first is true once for each pointer, map and slice: they may lead back to themselves.
func (w *walker) first(v reflect.Value, p *plan) bool {
	key := visit{pointer: v.Pointer(), plan: p}
	if p.kind == reflect.Slice {
		key.length = v.Len()
	}
	if w.visited[key] {
		return false
	}
	if w.visited == nil {
		w.visited = map[visit]bool{}
	}
	w.visited[key] = true
	return true
}

func (w *walker) structure(v reflect.Value, p *plan, n *node) {
	for i := range p.parts {
		part := &p.parts[i]
		if !part.plan.validates {
			continue
		}
		f := v.Field(part.index)
		switch {
		case !f.CanInterface():
			// An unexported embedded struct: its exported fields were decoded, so they are validated.
			w.structure(f, part.plan, n)
		case part.inline:
			w.value(f, part.plan, n)
		default:
			w.child(f, part.plan, n, p.written(n, part.name))
		}
	}
}

func (w *walker) mapping(v reflect.Value, p *plan, n *node) {
	keys := v.MapKeys()
	names := make(map[string]reflect.Value, len(keys))
	for _, k := range keys {
		names[keyText(k)] = k
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		w.child(addressable(v.MapIndex(names[name])), p.elem, n, name)
	}
}

// child validates what stands beneath a key.
func (w *walker) child(v reflect.Value, p *plan, n *node, key string) {
	if !p.validates {
		return
	}
	w.value(v, p, w.down(n, key))
	w.up()
}

// down goes to what the configuration has beneath a key of n, which may be nothing.
func (w *walker) down(n *node, key string) *node {
	s, place := step{key: key}, ""
	value, line, col := n.child(key)
	if value != nil {
		place = value.file.position(line, col)
		if n.kind == mappingKind {
			s.from = n.entries[n.find(key)].from
		}
	}
	w.steps, w.places = append(w.steps, s), append(w.places, place)
	return value
}

func (w *walker) up() {
	w.steps, w.places = w.steps[:len(w.steps)-1], w.places[:len(w.places)-1]
}

func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

func (w *walker) call(v reflect.Value, p *plan, n *node) {
	if err := addressable(v).Addr().Interface().(validatable).Validate(); err != nil {
		w.problem(err, p, n)
	}
}

func (w *walker) problem(err error, about *plan, n *node) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && isJoin(err, joined.Unwrap()) {
		for _, each := range joined.Unwrap() {
			w.problem(each, about, n)
		}
		return
	}
	e, ok := err.(*Error) //nolint:errorlint // a wrapped one has words of its own around it
	if !ok {
		e = beneath("", err)
	}
	for _, p := range e.Problems {
		if p.Position == "" {
			p.Path, p.Position = w.locate(about, n, p.Path)
		}
		// An embedded struct lends its Validate to the struct around it, which makes two calls of one method.
		if len(w.report.problems) > hintsFor || !slices.Contains(w.report.problems, p) {
			w.report.add(p, nil)
		}
	}
	w.report.causes = append(w.report.causes, e.causes...)
}

// isJoin tells errors.Join, which adds no words of its own, from other errors that wrap several.
func isJoin(err error, parts []error) bool {
	_, isError := err.(*Error) //nolint:errorlint // the type itself is asked for
	return !isError && len(parts) > 0 && err.Error() == errors.Join(parts...).Error()
}

// locate gives the whole path of what is at path beneath n, and where it stands, or else the nearest thing that the configuration has.
func (w *walker) locate(about *plan, n *node, path string) (whole, position string) {
	depth := len(w.steps)
	keys, err := splitPath(path)
	if err != nil {
		keys = []string{path}
	}
	for i, key := range keys {
		if i == 0 {
			key = about.written(n, key)
		}
		n = w.down(n, key)
	}
	whole = w.path()
	for i := len(w.places) - 1; i >= 0 && position == ""; i-- {
		position = w.places[i]
	}
	if position == "" {
		position = w.section.position()
	}
	w.steps, w.places = w.steps[:depth], w.places[:depth]
	return whole, position
}

// keyText is a map's key as YAML has it.
func keyText(k reflect.Value) string {
	if t, ok := k.Interface().(encoding.TextMarshaler); ok {
		if text, err := t.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(k.Interface())
}
