package fxlifecycle

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/internal/spelling"
)

const injectTag = "inject"

// Object is a constructor of *T for fx.Provide whose dependencies are T's fields tagged `inject:""`. It manages what it builds: PostConstruct
// runs on the empty object, then PreInject, then the fields are set, then PostInject. Beside that tag Fx's own `name:"…"`,
// `group:"…"` and `optional:"true"` work as in fx.In; untagged fields stay zero.
//
//	type Ledger struct {
//		DB    *sql.DB    `inject:""`
//		Audit *sql.DB    `inject:"" name:"audit"`
//		Rules []Rule     `inject:"" group:"rules"`
//		Log   *zap.Logger `inject:"" optional:"true"`
//		mu    sync.Mutex
//	}
//
//	fx.Provide(fxlifecycle.Object[Ledger]())
//
// A T that cannot work fails fx.New with an error that names the field. Fx's own errors do not show where an Object was provided,
// only its type: a constructor that calls Manage says more, and is checked by the compiler.
func Object[T any](opts ...Option) any {
	pc := callerPC()
	plan, err := planOf(reflect.TypeFor[T]())
	if err != nil {
		return invalidObject{fmt.Errorf("fxlifecycle: object %s: %w", reflect.TypeFor[T](), err)}
	}
	build := func(args []reflect.Value) []reflect.Value {
		object, in := reflect.New(plan.object), args[0]
		lc := in.Field(plan.lifecycle).Interface().(fx.Lifecycle)
		e := newEntry(object.Interface(), pc)
		err := e.manage(lc, e.apply(object.Interface(), opts), func() { plan.inject(object.Elem(), in) })
		if err != nil {
			return []reflect.Value{reflect.Zero(object.Type()), reflect.ValueOf(&err).Elem()}
		}
		return []reflect.Value{object, reflect.Zero(reflect.TypeFor[error]())}
	}
	signature := reflect.FuncOf(
		[]reflect.Type{plan.params},
		[]reflect.Type{reflect.PointerTo(plan.object), reflect.TypeFor[error]()}, false)
	return reflect.MakeFunc(signature, build).Interface()
}

// invalidObject is no constructor: fx.Provide refuses it and prints it. A constructor that only returned the error would
// fail fx.New only in applications where somebody needs the object.
type invalidObject struct{ error }

// An objectPlan is how to fill an object from a parameter struct of Fx's.
type objectPlan struct {
	object    reflect.Type
	params    reflect.Type // embeds fx.In
	lifecycle int          // index of the fx.Lifecycle in params
	fields    [][]int      // of the object: fields[i] comes from field first+i of params
}

const firstField = 2 // after fx.In and the fx.Lifecycle

func (p *objectPlan) inject(object, in reflect.Value) {
	for i, index := range p.fields {
		object.FieldByIndex(index).Set(in.Field(firstField + i))
	}
}

// injectsPartOf tells whether a struct around the field is injected.
func (p *objectPlan) injectsPartOf(index []int) bool {
	return slices.ContainsFunc(p.fields, func(outer []int) bool {
		return len(outer) < len(index) && slices.Equal(outer, index[:len(outer)])
	})
}

func planOf(object reflect.Type) (*objectPlan, error) {
	if object.Kind() != reflect.Struct {
		return nil, fmt.Errorf("it is a %s; Object needs a struct with fields tagged `%s:\"\"`", object.Kind(), injectTag)
	}
	plan := &objectPlan{object: object, lifecycle: 1}
	params := []reflect.StructField{
		{Name: "In", Type: reflect.TypeFor[fx.In](), Anonymous: true},
		{Name: "FxLifecycle_", Type: reflect.TypeFor[fx.Lifecycle]()},
	}
	var problems []error
	for _, field := range reflect.VisibleFields(object) {
		if plan.injectsPartOf(field.Index) {
			continue // comes with the struct that is injected whole
		}
		tag, err := injectionOf(object, field)
		if err != nil {
			problems = append(problems, fmt.Errorf("field %s: %w", path(object, field.Index), err))
			continue
		}
		if tag == nil {
			continue
		}
		// The name appears in dig's errors; promoted fields of one name would collide.
		name := field.Name
		if len(field.Index) > 1 {
			name += "_of_" + strings.ReplaceAll(path(object, field.Index[:len(field.Index)-1]), ".", "_")
		}
		params = append(params, reflect.StructField{Name: name, Type: field.Type, Tag: *tag})
		plan.fields = append(plan.fields, field.Index)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	plan.params = reflect.StructOf(params)
	return plan, nil
}

// injectionOf is the tag that the field gets in the parameter struct, or nil if it is not injected.
func injectionOf(object reflect.Type, field reflect.StructField) (*reflect.StructTag, error) {
	keys := tagKeys(field.Tag)
	inject, ok := field.Tag.Lookup(injectTag)
	if !ok {
		for _, key := range keys {
			if near, ok := spelling.Nearest(key, []string{injectTag}); ok {
				return nil, fmt.Errorf("unknown tag %q (did you mean %q?)", key, near)
			}
		}
		return nil, nil
	}
	switch {
	case inject != "":
		return nil, fmt.Errorf("`%s:%q`: the tag takes no value; a name goes into `name:\"…\"`, and `optional:\"true\"` is a tag of its own", injectTag, inject)
	case !field.IsExported():
		return nil, errors.New("it is unexported, so nothing outside its package can set it: export it, or take the dependency in a constructor")
	case throughPointer(object, field.Index):
		return nil, errors.New("it is promoted from an embedded pointer, which is nil when the object is made: embed the struct itself")
	}
	known := []string{"name", "group", "optional"}
	var tag []string
	for _, key := range keys {
		if near, ok := spelling.Nearest(key, known); ok && !slices.Contains(known, key) {
			return nil, fmt.Errorf("unknown tag %q (did you mean %q?)", key, near)
		}
	}
	for _, key := range known {
		value, ok := field.Tag.Lookup(key)
		if !ok {
			continue
		}
		if _, err := strconv.ParseBool(value); key == "optional" && err != nil {
			return nil, fmt.Errorf("`optional:%q`: it is \"true\" or \"false\"", value)
		}
		tag = append(tag, fmt.Sprintf("%s:%q", key, value))
	}
	if len(tag) > 1 && field.Tag.Get("name") != "" && field.Tag.Get("group") != "" {
		return nil, errors.New("it has a name and a group; Fx knows a value by one of them")
	}
	joined := reflect.StructTag(strings.Join(tag, " "))
	return &joined, nil
}

func throughPointer(object reflect.Type, index []int) bool {
	for i := 1; i < len(index); i++ {
		if object.FieldByIndex(index[:i]).Type.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

// path is the field's name, with those of the structs that it is promoted from.
func path(object reflect.Type, index []int) string {
	names := make([]string, len(index))
	for i := range index {
		names[i] = object.FieldByIndex(index[:i+1]).Name
	}
	return strings.Join(names, ".")
}

// tagKeys are the keys of a struct tag, which package reflect can look up but not list.
func tagKeys(tag reflect.StructTag) []string {
	var keys []string
	for rest := string(tag); ; {
		rest = strings.TrimLeft(rest, " ")
		key, after, ok := strings.Cut(rest, ":")
		if !ok || key == "" {
			return keys
		}
		keys = append(keys, key)
		value, err := strconv.QuotedPrefix(after)
		if err != nil {
			return keys
		}
		rest = after[len(value):]
	}
}
