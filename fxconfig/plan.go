package fxconfig

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// A plan is what decoding and validating need to know of a Go type, found out once.
type plan struct {
	typ       reflect.Type
	custom    custom
	kind      reflect.Kind
	special   special
	elem      *plan   // of a pointer, list or map
	key       *plan   // of a map
	fields    []field // of a struct, inlined ones included
	names     []string
	byName    map[string]int // where there are many fields
	inlineMap []int          // the field that takes the keys that no other does, or nil
	inlineElm *plan
	inlined   []inlined  // inline fields that read their keys with an UnmarshalYAML of their own
	same      [][]string // the keys of each field that has several
	err       error      // the type cannot be decoded
	parts     []part
	building  bool // its fields are being found
	validates bool // it, or what it may contain, may have a Validate method
	validator bool // it has one
}

// A field is a key of a struct, which may belong to a struct inlined in it.
type field struct {
	name  string
	index []int
	plan  *plan
	omit  bool // omitempty
	alias bool // not its first key
}

// A part is a field of the struct itself, to be validated with it.
type part struct {
	index  int
	name   string // the key, or the Go name of a field without one
	inline bool
	plan   *plan
}

type inlined struct {
	index []int
	plan  *plan
}

// custom is a type's own way to read YAML.
type custom uint8

const (
	noCustom   custom = iota
	customNode        // UnmarshalYAML(*yaml.Node) error
	customFunc        // UnmarshalYAML(func(any) error) error
	customText        // UnmarshalText([]byte) error, for scalars
)

// special is a type of which decoding knows more than its kind.
type special uint8

const (
	noSpecial special = iota
	specialSecret
	specialDuration
	specialTime
	specialNode // yaml.Node
	specialBytes
)

type funcUnmarshaler interface {
	UnmarshalYAML(func(any) error) error
}

type validatable interface{ Validate() error }

var (
	unmarshalerType     = reflect.TypeFor[yaml.Unmarshaler]()
	funcUnmarshalerType = reflect.TypeFor[funcUnmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	validatableType     = reflect.TypeFor[validatable]()

	specials = map[reflect.Type]special{
		reflect.TypeFor[Secret]():        specialSecret,
		reflect.TypeFor[time.Duration](): specialDuration,
		reflect.TypeFor[time.Time]():     specialTime,
		reflect.TypeFor[yaml.Node]():     specialNode,
	}
)

// plans remembers plans by reflect.Type. What is in it follows from the types alone and never changes, so
// applications in one process cannot see each other through it.
var plans sync.Map

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	b := planner{}
	b.plan(t)
	for _, p := range b {
		p.validates = p.mayValidate(map[*plan]bool{})
	}
	// Published only now that they are complete, those that are part of others included.
	for t, p := range b {
		plans.LoadOrStore(t, p)
	}
	return b[t]
}

// planner holds the plans being made, so that a type may contain itself.
type planner map[reflect.Type]*plan

func (b planner) plan(t reflect.Type) *plan {
	if p := b[t]; p != nil {
		return p
	}
	p := &plan{typ: t, kind: t.Kind(), special: specials[t]}
	b[t] = p
	p.validator = p.kind != reflect.Interface && p.kind != reflect.Pointer && reflect.PointerTo(t).Implements(validatableType)
	if p.kind != reflect.Pointer && p.kind != reflect.Interface {
		switch ptr := reflect.PointerTo(t); {
		case p.special != noSpecial:
		case ptr.Implements(unmarshalerType):
			p.custom = customNode
		case ptr.Implements(funcUnmarshalerType):
			p.custom = customFunc
		case ptr.Implements(textUnmarshalerType):
			p.custom = customText
		}
	}
	switch p.kind {
	case reflect.Pointer:
		p.elem = b.plan(t.Elem())
	case reflect.Slice, reflect.Array:
		p.elem = b.plan(t.Elem())
		if p.kind == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			p.special = specialBytes
		}
	case reflect.Map:
		p.key, p.elem = b.plan(t.Key()), b.plan(t.Elem())
	case reflect.Struct:
		if p.special == noSpecial {
			b.structure(p)
		}
	case reflect.Interface:
		if t.NumMethod() > 0 {
			p.err = fmt.Errorf("an interface with methods (%s) cannot be read from YAML", t)
		}
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		p.err = fmt.Errorf("a %s (%s) cannot be read from YAML", p.kind, t)
	}
	return p
}

// manyFields is the number from which looking a field up in a map beats comparing names.
const manyFields = 12

// structure finds a struct's fields by yaml.v3's rules: the tag's name or else the lower-cased Go name, "-" for none, inline.
func (b planner) structure(p *plan) {
	fail := func(format string, args ...any) {
		if p.err == nil {
			p.err = fmt.Errorf("type %s: %s", p.typ, fmt.Sprintf(format, args...))
		}
	}
	seen := map[string]bool{}
	add := func(f field) {
		if seen[f.name] {
			fail("two fields have the key %q", f.name)
			return
		}
		seen[f.name] = true
		p.fields = append(p.fields, f)
		p.names = append(p.names, f.name)
	}
	p.building = true
	for i := range p.typ.NumField() {
		sf := p.typ.Field(i)
		tag := fieldTag(sf)
		// Of an unexported embedded struct reflection can still set the exported fields.
		if !sf.IsExported() && !(sf.Anonymous && tag.inline && sf.Type.Kind() == reflect.Struct) {
			if sf.Anonymous && tag.inline {
				fail("field %s: an inline pointer or map must be exported to be set", sf.Name)
			}
			continue
		}
		if tag.unknown != "" {
			fail("field %s: unknown option %q in its yaml tag", sf.Name, tag.unknown)
		}
		fp := b.plan(sf.Type)
		if len(tag.aliases) > 0 {
			p.same = append(p.same, tag.keys())
		}
		p.parts = append(p.parts, part{index: i, name: tag.name, inline: tag.inline, plan: fp})
		switch {
		case tag.inline:
			b.inline(p, sf, fp, add, fail)
		case !tag.skip:
			for i, key := range tag.keys() {
				add(field{name: key, index: sf.Index, plan: fp, omit: tag.omitempty, alias: i > 0})
			}
		}
	}
	p.building = false
	if len(p.fields) >= manyFields {
		p.byName = make(map[string]int, len(p.fields))
		for i, f := range p.fields {
			p.byName[f.name] = i
		}
	}
}

type tagOptions struct {
	name                    string
	skip, inline, omitempty bool
	unknown                 string
	aliases                 []string
}

// keys are all that a field is known by. One that yaml.v3 does not see may still have some, which its struct's UnmarshalYAML reads.
func (t tagOptions) keys() []string {
	if t.skip {
		return t.aliases
	}
	return append([]string{t.name}, t.aliases...)
}

func fieldTag(sf reflect.StructField) tagOptions {
	text := sf.Tag.Get("yaml")
	if text == "" && !strings.Contains(string(sf.Tag), ":") {
		text = string(sf.Tag) // yaml.v3 takes a tag without a key for its own
	}
	var aliases []string
	if list := sf.Tag.Get("alias"); list != "" { // a tag of its own: yaml.v3 refuses options that it does not know
		aliases = strings.Split(list, ",")
	}
	if text == "-" {
		return tagOptions{name: sf.Name, skip: true, aliases: aliases}
	}
	name, options, _ := strings.Cut(text, ",")
	t := tagOptions{name: name, aliases: aliases}
	for _, option := range strings.Split(options, ",") {
		switch option {
		case "", "flow":
		case "inline":
			t.inline = true
		case "omitempty":
			t.omitempty = true
		default:
			t.unknown = option
		}
	}
	if t.name == "" {
		t.name = strings.ToLower(sf.Name)
	}
	return t
}

// inline adds the fields of an inline struct, or the map that takes what is left.
func (b planner) inline(p *plan, sf reflect.StructField, fp *plan, add func(field), fail func(string, ...any)) {
	if fp.kind == reflect.Map {
		switch {
		case p.inlineMap != nil:
			fail("two inline maps")
		case fp.key.kind != reflect.String || fp.key.custom != noCustom:
			fail("field %s: an inline map needs text as its key", sf.Name)
		default:
			p.inlineMap, p.inlineElm = sf.Index, fp.elem
		}
		return
	}
	for fp.kind == reflect.Pointer {
		fp = fp.elem
	}
	if fp.kind != reflect.Struct || fp.special != noSpecial {
		fail("field %s: only a struct or a map can be inline", sf.Name)
		return
	}
	if fp.building {
		fail("field %s: a struct cannot be inline in itself", sf.Name)
		return
	}
	if fp.custom == customNode || fp.custom == customFunc {
		p.inlined = append(p.inlined, inlined{index: sf.Index, plan: fp})
		return
	}
	if fp.err != nil {
		fail("%v", fp.err)
	}
	under := func(index []int) []int { return append(append([]int(nil), sf.Index...), index...) }
	for _, f := range fp.fields {
		f.index = under(f.index)
		add(f)
	}
	p.same = append(p.same, fp.same...)
	for _, u := range fp.inlined {
		p.inlined = append(p.inlined, inlined{index: under(u.index), plan: u.plan})
	}
	if fp.inlineMap != nil {
		if p.inlineMap != nil {
			fail("two inline maps")
		}
		p.inlineMap, p.inlineElm = under(fp.inlineMap), fp.inlineElm
	}
}

// field finds a struct's field by its key.
func (p *plan) field(key string) *field {
	if p.byName != nil {
		if i, ok := p.byName[key]; ok {
			return &p.fields[i]
		}
		return nil
	}
	for i := range p.fields {
		if p.fields[i].name == key {
			return &p.fields[i]
		}
	}
	return nil
}

func (p *plan) mayValidate(seen map[*plan]bool) bool {
	if p == nil || seen[p] {
		return false
	}
	seen[p] = true
	if p.validator || p.kind == reflect.Interface || p.elem.mayValidate(seen) {
		return true
	}
	for i := range p.parts {
		if p.parts[i].plan.mayValidate(seen) {
			return true
		}
	}
	return false
}
