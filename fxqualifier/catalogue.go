package fxqualifier

import (
	"iter"
	"reflect"
	"unique"
)

// A catalogue is the part of a Set that does not depend on T: which members there are and how to find them. A member
// is known by its position in the order of registration.
type catalogue struct {
	members    []catalogued
	all        []int32 // 0, 1, 2, …: a slice of it is the list of one member
	several    [][]int32
	attributes []attributeIndex
	byID       map[unique.Handle[attributeID]]int // positions in attributes, once there are too many to go through
}

type catalogued struct {
	qualifiers []Qualifier
	where      string // the constructor, as in errors
}

// An attributeIndex finds the members that have a value in one attribute, by either map, as the kind of its values
// demands. Found is the position of the one member with that value, or if it is negative, its complement is where in
// catalogue.several the list of them is: small slots make a fast map.
type attributeIndex struct {
	id    unique.Handle[attributeID]
	texts map[string]int32
	bits  map[uint64]int32
}

// manyAttributes is from where on a map of attributes is faster than going through them.
const manyAttributes = 8

func (c *catalogue) add(qs []Qualifier, where string) {
	position := int32(len(c.members))
	c.members = append(c.members, catalogued{qs, where})
	c.all = append(c.all, position)
	for i := range qs {
		a := c.attribute(qs[i].attribute)
		if a == nil {
			a = c.addAttribute(qs[i].attribute)
		}
		found, ok := a.find(&qs[i])
		switch {
		case !ok:
			found = position
		case found >= 0:
			c.several = append(c.several, []int32{found, position})
			found = ^int32(len(c.several) - 1)
		default:
			c.several[^found] = append(c.several[^found], position)
		}
		if a.texts != nil {
			a.texts[qs[i].text] = found
		} else {
			a.bits[qs[i].bits] = found
		}
	}
}

func (c *catalogue) addAttribute(id unique.Handle[attributeID]) *attributeIndex {
	a := attributeIndex{id: id}
	if id.Value().typ.Kind() == reflect.String {
		a.texts = make(map[string]int32)
	} else {
		a.bits = make(map[uint64]int32)
	}
	c.attributes = append(c.attributes, a)
	if len(c.attributes) >= manyAttributes {
		if c.byID == nil {
			c.byID = make(map[unique.Handle[attributeID]]int)
			for i := range c.attributes {
				c.byID[c.attributes[i].id] = i
			}
		}
		c.byID[id] = len(c.attributes) - 1
	}
	return &c.attributes[len(c.attributes)-1]
}

func (c *catalogue) attribute(id unique.Handle[attributeID]) *attributeIndex {
	if c.byID == nil {
		for i := range c.attributes {
			if c.attributes[i].id == id {
				return &c.attributes[i]
			}
		}
		return nil
	}
	if i, ok := c.byID[id]; ok {
		return &c.attributes[i]
	}
	return nil
}

func (a *attributeIndex) find(q *Qualifier) (found int32, ok bool) {
	if a.texts != nil {
		found, ok = a.texts[q.text]
	} else {
		found, ok = a.bits[q.bits]
	}
	return found, ok
}

// having are the members that carry q, in order.
func (c *catalogue) having(q *Qualifier) []int32 {
	a := c.attribute(q.attribute)
	if a == nil {
		return nil
	}
	found, ok := a.find(q)
	if !ok {
		return nil
	}
	if found < 0 {
		return c.several[^found]
	}
	return c.all[found : found+1]
}

// only is the one member that carries q, or negative if there are none or several.
func (c *catalogue) only(q *Qualifier) int32 {
	if a := c.attribute(q.attribute); a != nil {
		if found, ok := a.find(q); ok {
			return found
		}
	}
	return -1
}

// one is the one member that carries all of qs, or negative if there are none or several.
func (c *catalogue) one(qs []Qualifier) int32 {
	one := int32(-1)
	for i := range c.matching(qs) {
		if one >= 0 {
			return -1
		}
		one = i
	}
	return one
}

// matching are the members that carry all of qs, in order.
func (c *catalogue) matching(qs []Qualifier) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		candidates := c.all
		for i := range qs {
			if found := c.having(&qs[i]); len(found) < len(candidates) {
				candidates = found
			}
		}
		for _, i := range candidates {
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
