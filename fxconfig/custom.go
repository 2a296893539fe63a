package fxconfig

import (
	"encoding"
	"errors"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
)

// custom lets a type read itself (C9). It is false where the type has no say: UnmarshalText reads scalars only.
func (d *decoder) custom(n *node, v reflect.Value, p *plan) bool {
	target := v.Addr().Interface()
	var err error
	switch p.custom {
	case customNode:
		err = target.(yaml.Unmarshaler).UnmarshalYAML(yamlNode(n))
	case customFunc:
		err = target.(funcUnmarshaler).UnmarshalYAML(func(into any) error { return d.inside(n, into) })
	case customText:
		if n.kind != scalarKind {
			if p.kind == reflect.Struct || p.kind == reflect.Map || p.kind == reflect.Slice || p.kind == reflect.Array {
				return false
			}
			d.wrongKind(n, "text")
			return true
		}
		text := []byte(n.text)
		if n.tag == binaryTag {
			var ok bool
			if text, ok = d.binary(n); !ok {
				return true
			}
		}
		err = target.(encoding.TextUnmarshaler).UnmarshalText(text)
	}
	if err != nil {
		d.customError(n, err)
	}
	return true
}

// inside is the function that an UnmarshalYAML(func(any) error) gets. What it reports is the type's to return or to drop.
func (d *decoder) inside(n *node, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return errors.New("UnmarshalYAML needs a pointer that is not nil to decode into")
	}
	sub := decoder{trail: trail{paths: d.paths, main: d.main, steps: slices.Clone(d.steps)}}
	sub.value(n, v.Elem(), planOf(v.Type().Elem()))
	return sub.report.err()
}

func (d *decoder) customError(n *node, err error) {
	if inner, ok := err.(*Error); ok && len(inner.Problems) > 0 { //nolint:errorlint // a wrapped one has words of its own around it
		for _, p := range inner.Problems {
			if p.Position == "" { // the type's own, made with At
				p.Position, p.Path = n.positionOf(p.Path), joinPaths(d.path(), p.Path)
			}
			d.report.add(p, nil)
		}
		d.report.causes = append(d.report.causes, inner.causes...)
		return
	}
	d.report.add(Problem{Position: n.position(), Path: d.path(), Message: err.Error()}, err)
}

// yamlNode is n as yaml.v3 has it: variables expanded, aliases and << resolved.
func yamlNode(n *node) *yaml.Node {
	y := &yaml.Node{Line: int(n.line), Column: int(n.col)}
	switch n.kind {
	case mappingKind:
		y.Kind, y.Tag = yaml.MappingNode, "!!map"
		y.Content = make([]*yaml.Node, 0, 2*len(n.entries))
		for i := range n.entries {
			e := &n.entries[i]
			key := &yaml.Node{Kind: yaml.ScalarNode, Value: e.key, Tag: tagNames[plainTag(e.key)], Line: int(e.line), Column: int(e.col)}
			y.Content = append(y.Content, key, yamlNode(e.value))
		}
	case sequenceKind:
		y.Kind, y.Tag = yaml.SequenceNode, "!!seq"
		y.Content = make([]*yaml.Node, len(n.items))
		for i, item := range n.items {
			y.Content[i] = yamlNode(item)
		}
	default:
		y.Kind, y.Value, y.Tag = yaml.ScalarNode, n.text, tagNames[n.tag]
		if n.flags&quoted != 0 && n.tag == strTag {
			y.Style = yaml.DoubleQuotedStyle
		}
	}
	if n.extra != nil && n.extra.tag != "" {
		y.Tag, y.Style = n.extra.tag, y.Style|yaml.TaggedStyle
	}
	return y
}

// tagNames are the tags of scalars by name; an application's own is kept with its node.
var tagNames = [...]string{
	strTag: "!!str", nullTag: "!!null", boolTag: "!!bool", intTag: "!!int", floatTag: "!!float",
	timeTag: "!!timestamp", binaryTag: "!!binary", otherTag: "!!str",
}
