package fxqualifier

import (
	"errors"
	"fmt"
	"reflect"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/internal/fxloc"
)

var errorType = reflect.TypeFor[error]()

// checkConstructor says what is wrong with constructor as one of T, or nil.
func checkConstructor[T any](constructor any) error {
	v, want := reflect.ValueOf(constructor), reflect.TypeFor[T]()
	if v.Kind() != reflect.Func || v.IsNil() {
		hint := ""
		if v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[fx.Annotated]().PkgPath() {
			hint = " (give the function itself: the qualifiers are its name, and parameters get tags in an fx.In)"
		}
		return fmt.Errorf("the constructor must be a function that returns %v, or %v and an error: got %s%s", want, want, fxloc.Func(constructor), hint)
	}
	if want.Implements(errorType) {
		return fmt.Errorf("%v implements error, and Fx cannot provide what does", want)
	}
	t := v.Type()
	results := t.NumOut()
	if results > 1 && t.Out(results-1) == errorType {
		results--
	}
	if results != 1 || t.NumOut() > 2 {
		return fmt.Errorf("%s must return %v, or %v and an error: its type is %v", fxloc.Func(constructor), want, want, t)
	}
	result := t.Out(0)
	if result == want || want.Kind() == reflect.Interface && result.Implements(want) {
		return nil
	}
	if want.Kind() != reflect.Interface {
		return fmt.Errorf("%s returns %v, not %v", fxloc.Func(constructor), result, want)
	}
	return fmt.Errorf("%s returns %v, which does not implement %v%s", fxloc.Func(constructor), result, want, whyNot(result, want))
}

// whyNot names the first method that keeps got from implementing want.
func whyNot(got, want reflect.Type) string {
	for i := range want.NumMethod() {
		method := want.Method(i)
		has, ok := got.MethodByName(method.Name)
		if ok {
			signature := has.Type
			if got.Kind() != reflect.Interface {
				signature = reflect.Zero(got).Method(has.Index).Type() // without the receiver
			}
			if signature == method.Type {
				continue
			}
			return fmt.Sprintf(" (method %s is %v, not %v)", method.Name, signature, method.Type)
		}
		if _, ok := reflect.PointerTo(got).MethodByName(method.Name); ok && got.Kind() != reflect.Interface {
			return fmt.Sprintf(" (method %s is one of *%v)", method.Name, got)
		}
		return fmt.Sprintf(" (method %s is missing)", method.Name)
	}
	return ""
}

// checkQualifiers says what is wrong with the qualifiers of one member, or nil.
func checkQualifiers(qs []Qualifier) error {
	var errs []error
	seen := make(map[string]Qualifier, len(qs))
	for _, q := range qs {
		name := q.id().name
		if name == "" {
			errs = append(errs, errors.New("a qualifier has no attribute: make attributes with NewAttribute and a name"))
			continue
		}
		if before, ok := seen[name]; ok {
			errs = append(errs, fmt.Errorf("attribute %q is given twice, as %v and as %v: a member has one value in each attribute", name, before, q))
			continue
		}
		seen[name] = q
	}
	return errors.Join(errs...)
}

// provideNamed gives Fx the user's own constructor (events show its name), under the name of the qualifiers.
func provideNamed[T any](constructor, location any, qs []Qualifier, annotations ...fx.Annotation) fx.Option {
	if len(qs) > 0 {
		annotations = append(annotations, fx.ResultTags(Tag(qs...)))
	}
	if reflect.TypeOf(constructor).Out(0) != reflect.TypeFor[T]() {
		annotations = append(annotations, fx.As(new(T)))
	}
	return fx.Provide(fxloc.At(fx.Annotate(constructor, annotations...), location))
}
