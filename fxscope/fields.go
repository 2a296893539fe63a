package fxscope

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.uber.org/dig"

	"github.com/fxkit/fxkit/internal/spelling"
)

// A side says where a want is to come from if both Fx and the scope have it.
type side string

const (
	eitherSide    side = ""
	singletonSide side = "singleton"
	requestSide   side = "request"
)

var inType = reflect.TypeFor[dig.In]()

// readFields takes an fx.In apart into wants. It is never handed to Fx, which does not know the scope: tag and would
// not find what is scoped.
func (d *declaration) readFields(param int, outer, t reflect.Type, at []int) error {
	var errs []error
	ignoreUnexported := false
	for f := range fieldsOf(t) {
		if f.Type == inType && f.Anonymous {
			ignoreUnexported, _ = strconv.ParseBool(f.Tag.Get("ignore-unexported"))
		}
	}
	for f := range fieldsOf(t) {
		index := append(append([]int{}, at...), f.Index...)
		switch {
		case f.Type == inType && f.Anonymous:
		case !f.IsExported() && ignoreUnexported:
		case !f.IsExported():
			errs = append(errs, fmt.Errorf("%s: field %s of %v is not exported, so it cannot be filled: export it, or tag the fx.In with `ignore-unexported:\"true\"`", d.where, f.Name, t))
		case dig.IsIn(f.Type):
			errs = append(errs, d.readFields(param, outer, f.Type, index))
		default:
			w := want{key: key{t: f.Type}, param: param, field: index, what: fmt.Sprintf("field %s of %v", f.Name, t)}
			errs = append(errs, d.readTags(&w, f.Tag))
			errs = append(errs, d.refuse(&w))
			d.wants = append(d.wants, w)
		}
	}
	return errors.Join(errs...)
}

func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func (d *declaration) readTags(w *want, tag reflect.StructTag) error {
	var errs []error
	complain := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s: %s", d.where, w.what, fmt.Sprintf(format, args...)))
	}
	w.name, w.group = tag.Get("name"), tag.Get("group")
	if text, ok := tag.Lookup("optional"); ok {
		optional, err := strconv.ParseBool(text)
		if err != nil {
			complain("optional:%q is neither true nor false", text)
		}
		w.optional = optional
	}
	w.side = side(tag.Get("scope"))
	if w.side != eitherSide && w.side != singletonSide && w.side != requestSide {
		complain("scope:%q must be %q or %q%s", string(w.side), singletonSide, requestSide,
			spelling.Hint(string(w.side), []string{string(singletonSide), string(requestSide)}))
		w.side = eitherSide
	}
	if w.group == "" {
		return errors.Join(errs...)
	}
	switch {
	case w.name != "":
		complain("name and group exclude each other")
	case w.optional:
		complain("a group cannot be optional: it is empty if it has no members")
	case w.side == requestSide:
		complain("groups are Fx's: scope:%q is not for them", requestSide)
	case w.t.Kind() != reflect.Slice:
		complain("a group fills a slice, not %v", w.t)
	}
	if name, option, ok := strings.Cut(w.group, ","); ok && option != "soft" {
		complain("group:%q has an unknown option: only \"%s,soft\" is for whoever takes a group", w.group, name)
	}
	return errors.Join(errs...)
}

// tag is the want as Fx writes it.
func (w *want) tag() string {
	switch {
	case w.group != "":
		return "group:" + strconv.Quote(w.group)
	case w.name != "":
		return "name:" + strconv.Quote(w.name)
	}
	return ""
}

// String names what is wanted in errors.
func (w *want) String() string {
	if w.group != "" {
		return fmt.Sprintf("%v[group=%q]", w.t, w.group)
	}
	return w.key.String()
}
