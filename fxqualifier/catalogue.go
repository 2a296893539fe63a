package fxqualifier

import (
	"iter"
	"reflect"
)

// A catalogue is the part of a Set that does not depend on T: which members there are and how to find them.
type catalogue struct {
	typ        reflect.Type
	members    []catalogued
	attributes []attributeIndex
	byName     map[string]int // positions in attributes, once there are too many to go through
}

type catalogued struct {
	qualifiers []Qualifier
	where      string // the constructor, as in errors
}

// An attributeIndex finds the members that have a value in one attribute; either map, as the kind of its values demands.
type attributeIndex struct {
	name  string
	typ   reflect.Type
	texts map[string][]int
	bits  map[uint64][]int
}

// manyAttributes is from where on a map of names is faster than going through them.
const manyAttributes = 8

func (c *catalogue) add(qs []Qualifier, where string) {
	position := len(c.members)
	c.members = append(c.members, catalogued{qs, where})
	for _, q := range qs {
		a := c.attribute(q.attribute)
		if a == nil {
			c.attributes = append(c.attributes, attributeIndex{name: q.attribute, typ: q.typ})
			a = &c.attributes[len(c.attributes)-1]
			if q.typ.Kind() == reflect.String {
				a.texts = make(map[string][]int)
			} else {
				a.bits = make(map[uint64][]int)
			}
			if len(c.attributes) == manyAttributes {
				c.byName = make(map[string]int)
				for i := range c.attributes {
					c.byName[c.attributes[i].name] = i
				}
			} else if c.byName != nil {
				c.byName[a.name] = len(c.attributes) - 1
			}
		}
		if a.texts != nil {
			a.texts[q.text] = append(a.texts[q.text], position)
		} else {
			a.bits[q.bits] = append(a.bits[q.bits], position)
		}
	}
}

func (c *catalogue) attribute(name string) *attributeIndex {
	if c.byName != nil {
		if i, ok := c.byName[name]; ok {
			return &c.attributes[i]
		}
		return nil
	}
	for i := range c.attributes {
		if c.attributes[i].name == name {
			return &c.attributes[i]
		}
	}
	return nil
}

// having are the members that carry q, in order.
func (c *catalogue) having(q *Qualifier) []int {
	a := c.attribute(q.attribute)
	if a == nil || a.typ != q.typ {
		return nil
	}
	if a.texts != nil {
		return a.texts[q.text]
	}
	return a.bits[q.bits]
}

// one returns the first member that carries all of qs, and how many there are: 0, 1, or 2 for more.
func (c *catalogue) one(qs []Qualifier) (position, count int) {
	if len(qs) == 1 {
		found := c.having(&qs[0])
		if len(found) == 0 {
			return 0, 0
		}
		return found[0], min(len(found), 2)
	}
	for i := range c.matching(qs) {
		if count++; count == 2 {
			break
		}
		position = i
	}
	return position, count
}

// matching are the members that carry all of qs, in order.
func (c *catalogue) matching(qs []Qualifier) iter.Seq[int] {
	return func(yield func(int) bool) {
		if len(qs) == 0 {
			for i := range c.members {
				if !yield(i) {
					return
				}
			}
			return
		}
		fewest := c.having(&qs[0])
		for i := range qs[1:] {
			if found := c.having(&qs[1+i]); len(found) < len(fewest) {
				fewest = found
			}
		}
		for _, i := range fewest {
			if carries(c.members[i].qualifiers, qs) && !yield(i) {
				return
			}
		}
	}
}

// carries says whether every one of want is in has. Members have few qualifiers: going through them beats a map.
func carries(has, want []Qualifier) bool {
next:
	for i := range want {
		for j := range has {
			if has[j] == want[i] {
				continue next
			}
		}
		return false
	}
	return true
}
