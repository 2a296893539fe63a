package fxqualifier

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/internal/fxloc"
)

// Instances provides one T per value, each as Provide would with the qualifier a.Of(value). The constructor has exactly
// one parameter of type V, which gets the value; what else it takes, Fx provides. No values are legal: the list may come
// from a configuration that was read before fx.New.
func Instances[T any, V Scalar](a Attribute[V], constructor any, values ...V) fx.Option {
	caller := fxloc.Caller(0)
	err := checkConstructor[T](constructor)
	position := -1
	if err == nil {
		position, err = parameterOf[V](constructor)
	}
	members := make([][]Qualifier, len(values))
	seen := make(map[V]bool, len(values))
	for i, value := range values {
		members[i] = []Qualifier{a.Of(value)}
		if seen[value] {
			err = errors.Join(err, fmt.Errorf("%v is listed twice", members[i][0]))
		}
		seen[value] = true
	}
	attribute := []Qualifier{a.Of(*new(V))}
	err = errors.Join(err, checkQualifiers(attribute))
	if err != nil {
		return fx.Error(fmt.Errorf("fxqualifier: provide instances of %v by %q at %s: %w", reflect.TypeFor[T](), attribute[0].id().name, caller, err))
	}
	where := place(constructor, caller)
	options := make([]fx.Option, 0, 2*len(values)+1)
	for i, value := range values {
		options = append(options, provideInstance[T](constructor, position, value, members[i]), provideMember[T](constructor, where, members[i]))
	}
	return fx.Options(append(options, register[T](where, attribute, members...))...)
}

// parameterOf is the position of the constructor's one parameter of type V.
func parameterOf[V Scalar](constructor any) (int, error) {
	t, want := reflect.TypeOf(constructor), reflect.TypeFor[V]()
	found, count := -1, 0
	for i := range t.NumIn() {
		if t.In(i) == want {
			found = i
			count++
		}
	}
	switch count {
	case 1:
		return found, nil
	case 0:
		return 0, fmt.Errorf("%s has no parameter of type %v, which would get the value: its type is %v", fxloc.Func(constructor), want, t)
	default:
		return 0, fmt.Errorf("%s has %d parameters of type %v, and which of them gets the value is open: give the attribute a type of its own", fxloc.Func(constructor), count, want)
	}
}

// provideInstance provides the user's own constructor, and its value under a name that nobody else uses.
func provideInstance[T any, V Scalar](constructor any, position int, value V, qs []Qualifier) fx.Option {
	if !takesTags(constructor) || reflect.TypeFor[V]().Implements(errorType) {
		// Fx has no tags for parameters beside an fx.In, and no values of types that implement error. Errors
		// name the constructor all the same; only Fx's events show a stub.
		return provideNamed[T](bind(constructor, position, reflect.ValueOf(value)), constructor, qs)
	}
	name := "fxqualifier.Instances " + fullName(reflect.TypeFor[T]()) + " " + Name(qs...)
	tags := make([]string, position+1)
	tags[position] = fmt.Sprintf("name:%q", name)
	return fx.Options(
		provideNamed[T](constructor, constructor, qs, fx.ParamTags(tags...)),
		fx.Provide(fxloc.At(fx.Annotate(func() V { return value }, fx.ResultTags(tags[position])), constructor)),
	)
}

// takesTags says whether fx.ParamTags can be put on the constructor: not if it takes an fx.In.
func takesTags(constructor any) bool {
	t := reflect.TypeOf(constructor)
	for i := range t.NumIn() {
		if dig.IsIn(t.In(i)) {
			return false
		}
	}
	return true
}

// bind returns the constructor without its parameter at position, which gets value.
func bind(constructor any, position int, value reflect.Value) any {
	fn := reflect.ValueOf(constructor)
	t := fn.Type()
	var in, out []reflect.Type
	for i := range t.NumIn() {
		if i != position {
			in = append(in, t.In(i))
		}
	}
	for i := range t.NumOut() {
		out = append(out, t.Out(i))
	}
	return reflect.MakeFunc(reflect.FuncOf(in, out, t.IsVariadic()), func(args []reflect.Value) []reflect.Value {
		args = slices.Insert(args, position, value)
		if t.IsVariadic() {
			return fn.CallSlice(args)
		}
		return fn.Call(args)
	}).Interface()
}

// fullName is the name of a type with its whole package path.
func fullName(t reflect.Type) string {
	if t.PkgPath() != "" {
		return t.PkgPath() + "." + t.Name()
	}
	if t.Kind() == reflect.Pointer {
		return "*" + fullName(t.Elem())
	}
	return t.String()
}
