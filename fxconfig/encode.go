package fxconfig

import (
	"encoding"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// An encoder turns a Go value into nodes, by the names that decoding would look for. yaml.v3's encoder
// cannot: it would write a Secret as it prints.
type encoder struct {
	file  *file
	depth int
	made  int
}

func (e *encoder) scalar(text string, t tag) *node {
	return &node{file: e.file, text: text, tag: t, plain: t, size: 1, depth: 1, flags: quoted}
}

func (e *encoder) mapping(entries []entry) *node {
	n := &node{file: e.file, kind: mappingKind, extra: &extra{entries: entries}}
	n.seal()
	return n
}

func (e *encoder) value(x any) (*node, error) {
	n, err := e.encode(reflect.ValueOf(x))
	if err == nil && (n.size > maxValues || n.depth > maxDepth) {
		err = fmt.Errorf("has more than %d values or is nested deeper than %d", maxValues, maxDepth) // in a yaml.Node
	}
	return n, err
}

func (e *encoder) encode(v reflect.Value) (*node, error) {
	if e.depth++; e.depth > maxDepth {
		return nil, fmt.Errorf("contains itself, or is nested deeper than %d", maxDepth)
	}
	if e.made++; e.made > maxValues {
		return nil, fmt.Errorf("has more than %d values", maxValues)
	}
	defer func() { e.depth-- }()
	if !v.IsValid() {
		return e.scalar("", nullTag), nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return e.scalar("", nullTag), nil
		}
	}
	switch x := v.Interface().(type) {
	case Secret:
		return e.scalar(string(x), strTag), nil
	case time.Duration:
		return e.scalar(x.String(), strTag), nil
	case time.Time:
		return e.scalar(x.Format(time.RFC3339Nano), timeTag), nil
	case yaml.Node:
		return e.yaml(&x)
	case *yaml.Node:
		return e.yaml(x)
	case yaml.Marshaler:
		inner, err := x.MarshalYAML()
		if err != nil {
			return nil, err
		}
		return e.encode(reflect.ValueOf(inner))
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		return e.scalar(string(text), strTag), err
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return e.encode(v.Elem())
	case reflect.String:
		return e.scalar(v.String(), strTag), nil
	case reflect.Bool:
		return e.scalar(strconv.FormatBool(v.Bool()), boolTag), nil
	case reflect.Float32, reflect.Float64:
		return e.scalar(formatFloat(v.Float(), v.Type().Bits()), floatTag), nil
	case reflect.Map:
		return e.mapValue(v)
	case reflect.Struct:
		return e.structValue(v)
	case reflect.Slice, reflect.Array:
		return e.list(v)
	}
	switch {
	case v.CanInt():
		return e.scalar(strconv.FormatInt(v.Int(), 10), intTag), nil
	case v.CanUint():
		return e.scalar(strconv.FormatUint(v.Uint(), 10), intTag), nil
	}
	return nil, fmt.Errorf("a %s (%s) has no form in YAML", v.Kind(), v.Type())
}

// yaml takes a tree as a document is taken, but literally.
func (e *encoder) yaml(y *yaml.Node) (*node, error) {
	if y.Kind == yaml.DocumentNode && len(y.Content) == 1 {
		y = y.Content[0]
	}
	var r report
	c := converter{trail: trail{paths: whole}, file: e.file, report: &r, literal: true}
	n := c.node(y)
	return n, r.err()
}

func (e *encoder) mapValue(v reflect.Value) (*node, error) {
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		value, err := e.encode(it.Value())
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{key: keyText(it.Key()), value: value})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for i := 1; i < len(entries); i++ {
		if entries[i].key == entries[i-1].key {
			return nil, fmt.Errorf("two keys of a map are both written %q", entries[i].key)
		}
	}
	return e.mapping(entries), nil
}

func (e *encoder) structValue(v reflect.Value) (*node, error) {
	p := planOf(v.Type())
	if p.err != nil {
		return nil, p.err
	}
	var entries []entry
	for _, f := range p.fields {
		x, err := v.FieldByIndexErr(f.index)
		if err != nil || f.alias || f.omit && x.IsZero() {
			continue // an inline pointer that is nil has no fields, and a field with several keys has one to be written
		}
		value, err := e.encode(x)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{key: f.name, value: value})
	}
	n := e.mapping(entries)
	if p.inlineMap != nil {
		if m, err := v.FieldByIndexErr(p.inlineMap); err == nil && m.Len() > 0 {
			more, err := e.mapValue(m)
			if err != nil {
				return nil, err
			}
			n = merge(n, more, 0)
		}
	}
	return n, nil
}

func (e *encoder) list(v reflect.Value) (*node, error) {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		return e.scalar(base64.StdEncoding.EncodeToString(v.Bytes()), binaryTag), nil
	}
	n := &node{file: e.file, kind: sequenceKind, extra: &extra{items: make([]*node, v.Len())}}
	for i := range n.items {
		item, err := e.encode(v.Index(i))
		if err != nil {
			return nil, err
		}
		n.items[i] = item
	}
	n.seal()
	return n, nil
}

func formatFloat(f float64, bits int) string {
	switch {
	case f != f:
		return ".nan"
	case f > 0 && f*2 == f:
		return ".inf"
	case f < 0 && f*2 == f:
		return "-.inf"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}
