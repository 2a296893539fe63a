package fxfactory

import "reflect"

// A cloner copies a configuration so that the copy shares no map, slice or pointer with the original.
type cloner[C any] func(C) C

// newCloner looks at the type once: most configurations hold no reference, and a plain copy is the whole work.
func newCloner[C any]() cloner[C] {
	if !refers(reflect.TypeFor[C](), map[reflect.Type]bool{}) {
		return func(c C) C { return c }
	}
	return func(c C) C {
		var copied C
		to := reflect.ValueOf(&copied).Elem()
		copier{}.copy(to, reflect.ValueOf(&c).Elem())
		return copied
	}
}

// refers says whether a value of the type can share memory with a copy of it.
func refers(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch t.Kind() {
	case reflect.Map, reflect.Slice, reflect.Pointer, reflect.Interface:
		return true
	case reflect.Array:
		return refers(t.Elem(), seen)
	case reflect.Struct:
		if seen[t] {
			return false
		}
		seen[t] = true
		for i := range t.NumField() {
			if refers(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

// A copier remembers the pointers it has copied, so that what is shared within the original is shared within the copy, and a cycle ends.
type copier map[unsafePointer]reflect.Value

type unsafePointer struct {
	address uintptr
	of      reflect.Type
}

// copy makes to, which is settable, a deep copy of from. Channels, functions, unexported fields, and a pointer to a struct with
// unexported fields (a lock, a certificate pool) are taken as they are, unless their type has a Clone method that returns the same type.
func (c copier) copy(to, from reflect.Value) {
	if clone, ok := cloned(from); ok {
		to.Set(clone)
		return
	}
	switch from.Kind() {
	case reflect.Struct:
		to.Set(from)
		for i := range from.NumField() {
			if from.Type().Field(i).IsExported() {
				c.copy(to.Field(i), from.Field(i))
			}
		}
	case reflect.Array:
		for i := range from.Len() {
			c.copy(to.Index(i), from.Index(i))
		}
	case reflect.Slice:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			c.copy(to.Index(i), from.Index(i))
		}
	case reflect.Map:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
		for entries := from.MapRange(); entries.Next(); {
			value := reflect.New(from.Type().Elem()).Elem()
			c.copy(value, entries.Value())
			to.SetMapIndex(entries.Key(), value)
		}
	case reflect.Interface:
		if from.IsNil() {
			return
		}
		value := reflect.New(from.Elem().Type()).Elem()
		c.copy(value, from.Elem())
		to.Set(value)
	case reflect.Pointer:
		c.pointer(to, from)
	default:
		to.Set(from)
	}
}

func (c copier) pointer(to, from reflect.Value) {
	if from.IsNil() || opaque(from.Type().Elem()) {
		to.Set(from)
		return
	}
	key := unsafePointer{from.Pointer(), from.Type()}
	if known, ok := c[key]; ok {
		to.Set(known)
		return
	}
	value := reflect.New(from.Type().Elem())
	if from.Type() != value.Type() {
		value = value.Convert(from.Type())
	}
	c[key] = value
	to.Set(value)
	c.copy(value.Elem(), from.Elem())
}

// opaque says whether a type has state that only its own methods may copy.
func opaque(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			return true
		}
	}
	return false
}

// cloned uses a value's own Clone method, if it has one that takes nothing and returns its type.
func cloned(v reflect.Value) (reflect.Value, bool) {
	t := v.Type()
	if t.PkgPath() == "" && t.Kind() != reflect.Pointer || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		return reflect.Value{}, false
	}
	method, ok := t.MethodByName("Clone")
	if !ok || method.Type.NumIn() != 1 || method.Type.NumOut() != 1 || method.Type.Out(0) != t || t.Kind() == reflect.Interface {
		return reflect.Value{}, false
	}
	return method.Func.Call([]reflect.Value{v})[0], true
}
