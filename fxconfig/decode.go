package fxconfig

import (
	"fmt"
	"reflect"

	"github.com/fxkit/fxkit/internal/spelling"
)

// fill decodes a section into v, which must be settable.
func fill(v reflect.Value, s section) error {
	var room [8]step // deep enough for most: fewer allocations for those who decode thousands
	d := decoder{trail: trail{paths: s.paths, main: s.main, steps: room[:0]}}
	switch p := planOf(v.Type()); {
	case p.err != nil: // a mistake in the program, not to be seen only by those who configure it
		d.report.add(Problem{Position: s.node.position(), Path: d.path(), Message: p.err.Error()}, nil)
	case s.node != nil:
		d.value(s.node, v, p)
	}
	return d.report.err()
}

// A decoder fills one Go value. It goes on after a problem, so that all of them are reported together.
type decoder struct {
	trail
	report report
}

func (d *decoder) problem(n *node, format string, args ...any) {
	if d.report.full() {
		return
	}
	d.report.add(Problem{Position: n.position(), Path: d.path(), Message: fmt.Sprintf(format, args...)}, nil)
}

// value decodes n into v, which can be set.
func (d *decoder) value(n *node, v reflect.Value, p *plan) {
	n = d.latest(n, p)
	if n.flags&broken != 0 && (n.kind == scalarKind || p.custom != noCustom || p.special == specialNode) && d.broken(n) {
		return
	}
	if p.err != nil {
		d.problem(n, "%v", p.err)
		return
	}
	if n.isNull() && p.special != specialNode {
		v.SetZero()
		return
	}
	if p.custom != noCustom && d.custom(n, v, p) {
		return
	}
	switch p.kind {
	case reflect.Pointer:
		d.pointer(n, v, p)
	case reflect.Interface:
		if x := d.generic(n); x != nil {
			v.Set(reflect.ValueOf(x))
		} else {
			v.SetZero()
		}
	case reflect.Struct:
		d.structure(n, v, p)
	case reflect.Map:
		d.mapping(n, v, p)
	case reflect.Slice:
		d.slice(n, v, p)
	case reflect.Array:
		d.array(n, v, p)
	default:
		d.scalar(n, v, p)
	}
}

// broken reports the values in n that could not be expanded, if there are any.
func (d *decoder) broken(n *node) bool {
	if n.flags&broken == 0 {
		return false
	}
	found := n.kind == scalarKind
	switch n.kind {
	case scalarKind:
		d.problem(n, "%s", n.problem)
	case mappingKind:
		for i := range n.entries {
			d.enter(&n.entries[i])
			found = d.broken(n.entries[i].value) || found
			d.leave()
		}
	case sequenceKind:
		for i, item := range n.items {
			d.enterItem(i)
			found = d.broken(item) || found
			d.leave()
		}
	}
	return found
}

// pointer fills a copy of what v points to: a default that several configurations point to must stay what it is.
func (d *decoder) pointer(n *node, v reflect.Value, p *plan) {
	target := reflect.New(p.elem.typ)
	if !v.IsNil() {
		target.Elem().Set(v.Elem())
	}
	v.Set(target)
	d.value(n, target.Elem(), p.elem)
}

func (d *decoder) structure(n *node, v reflect.Value, p *plan) {
	if p.special != noSpecial {
		d.specialStruct(n, v, p)
		return
	}
	if n.kind != mappingKind {
		d.wrongKind(n, "a mapping")
		return
	}
	var rest, left []entry // what the inline map takes, and what inline fields of custom types read
	for i := range n.entries {
		e := &n.entries[i]
		f := p.field(e.key)
		switch {
		case f != nil:
			d.enter(e)
			d.value(e.value, fieldByIndex(v, f.index), f.plan)
			d.leave()
		case p.inlineMap != nil:
			rest = append(rest, *e)
		case len(p.inlined) > 0:
			left = append(left, *e)
		default:
			d.unknownKey(e, p)
		}
	}
	if rest != nil {
		d.entries(rest, fieldByIndex(v, p.inlineMap), p.inlineElm, nil)
	}
	if len(p.inlined) > 0 {
		only := &node{file: n.file, line: n.line, col: n.col, kind: mappingKind, extra: &extra{entries: left}}
		only.seal()
		for _, u := range p.inlined {
			d.custom(d.latest(only, u.plan), pointee(fieldByIndex(v, u.index)), u.plan)
		}
	}
}

// fieldByIndex is reflect's, but makes the inline structs that v only points to, or copies them as pointer does.
func fieldByIndex(v reflect.Value, index []int) reflect.Value {
	if len(index) == 1 {
		return v.Field(index[0])
	}
	for i, x := range index {
		if i > 0 {
			v = pointee(v)
		}
		v = v.Field(x)
	}
	return v
}

// pointee follows pointers to a value that v alone points to.
func pointee(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		target := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			target.Elem().Set(v.Elem())
		}
		v.Set(target)
		v = target.Elem()
	}
	return v
}

// hintsFor is the number of problems after which unknown keys are reported without the nearest known one:
// finding it takes time, and nobody reads that far.
const hintsFor = 100

func (d *decoder) unknownKey(e *entry, p *plan) {
	if d.report.full() {
		return
	}
	d.enter(e)
	message := "unknown key"
	if len(d.report.problems) < hintsFor {
		message += known(e.key, p.names)
	}
	d.report.add(Problem{Position: e.position(), Path: d.path(), Message: message}, nil)
	d.leave()
}

// known says what would have been right.
func known(key string, names []string) string {
	if hint := spelling.Hint(key, names); hint != "" {
		return hint
	}
	const most = 12
	switch {
	case len(names) == 0:
		return " (there are none here)"
	case len(names) > most:
		return fmt.Sprintf(" (known: %s, and %d more)", spelling.List(names[:most]), len(names)-most)
	}
	return fmt.Sprintf(" (known: %s)", spelling.List(names))
}

func (d *decoder) mapping(n *node, v reflect.Value, p *plan) {
	if n.kind != mappingKind {
		d.wrongKind(n, "a mapping")
		return
	}
	d.entries(n.entries, v, p.elem, p.key)
}

// entries adds to the map v, of which it makes a copy first for the reason that pointer gives. key is nil for text.
func (d *decoder) entries(entries []entry, v reflect.Value, elem, key *plan) {
	t := v.Type()
	m := reflect.MakeMapWithSize(t, len(entries)+v.Len())
	old := v.Len() > 0
	if old {
		for it := v.MapRange(); it.Next(); {
			m.SetMapIndex(it.Key(), it.Value())
		}
	}
	text := key == nil || key.kind == reflect.String && key.custom == noCustom
	var seen map[any]string
	k, x := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
	for i := range entries {
		e := &entries[i]
		d.enter(e)
		x.SetZero()
		if text {
			k.SetString(e.key)
		} else if !d.mapKey(e, k, key, &seen) {
			d.leave()
			continue
		}
		if old {
			if was := m.MapIndex(k); was.IsValid() {
				x.Set(was)
			}
		}
		d.value(e.value, x, elem)
		m.SetMapIndex(k, x)
		d.leave()
	}
	v.Set(m)
}

// mapKey decodes a key that is more than text; false after a problem. Two texts may be one key: 1 and 0x1.
func (d *decoder) mapKey(e *entry, k reflect.Value, p *plan, seen *map[any]string) bool {
	// Text in quotes may be a key that is a number, as what the environment supplied may.
	n := &node{file: e.value.file, line: e.line, col: e.col, size: 1, depth: 1, text: e.key, plain: plainTag(e.key), flags: expanded}
	k.SetZero()
	before := d.report.count()
	d.value(n, k, p)
	if d.report.count() > before {
		return false
	}
	if !k.Comparable() {
		d.problem(n, "cannot be a key of %s", p.typ)
		return false
	}
	if *seen == nil {
		*seen = map[any]string{}
	}
	if first, ok := (*seen)[k.Interface()]; ok {
		d.problem(n, "duplicate key: %s is the same", Path(first))
		return false
	}
	(*seen)[k.Interface()] = e.key
	return true
}

func (d *decoder) slice(n *node, v reflect.Value, p *plan) {
	if p.special == specialBytes && n.kind == scalarKind {
		d.bytes(n, v)
		return
	}
	if n.kind != sequenceKind {
		d.wrongKind(n, "a list")
		return
	}
	s := reflect.MakeSlice(p.typ, len(n.items), len(n.items))
	d.items(n, s, p)
	v.Set(s)
}

func (d *decoder) array(n *node, v reflect.Value, p *plan) {
	switch length := v.Len(); {
	case n.kind != sequenceKind:
		d.wrongKind(n, fmt.Sprintf("a list of %d", length))
	case len(n.items) != length:
		d.problem(n, "expected a list of %d, found one of %d", length, len(n.items))
	default:
		v.SetZero() // a list is replaced whole
		d.items(n, v, p)
	}
}

func (d *decoder) items(n *node, list reflect.Value, p *plan) {
	for i, item := range n.items {
		d.enterItem(i)
		d.value(item, list.Index(i), p.elem)
		d.leave()
	}
}

// generic decodes into an interface: map[string]any, []any, or what a scalar's YAML type is in Go.
func (d *decoder) generic(n *node) any {
	switch n.kind {
	case mappingKind:
		m := make(map[string]any, len(n.entries))
		for i := range n.entries {
			e := &n.entries[i]
			d.enter(e)
			m[e.key] = d.generic(e.value)
			d.leave()
		}
		return m
	case sequenceKind:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			d.enterItem(i)
			list[i] = d.generic(item)
			d.leave()
		}
		return list
	}
	return d.genericScalar(n)
}
