package fxqualifier

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/internal/fxloc"
)

// Provide provides what constructor returns as T, under Name(qs...), and as a member of Set[T].
//
// The constructor is one as for fx.Provide: it may take whatever Fx provides, fx.In structs included, and returns T, or
// what implements T, and may return an error. As with fx.Provide it runs once, and only if somebody wants its result,
// by name or through the Set. Without qualifiers it provides the plain T.
func Provide[T any](constructor any, qs ...Qualifier) fx.Option {
	qs, caller := slices.Clone(qs), fxloc.Caller(0)
	if err := checkMember[T](constructor, qs); err != nil {
		return refuse[T]("provide", caller, qs, err)
	}
	where := place(constructor, caller)
	return fx.Options(
		provideNamed[T](constructor, constructor, qs),
		provideMember[T](constructor, where, qs),
		register[T](where, nil, qs),
	)
}

// Dynamic is a member of Set[T] that get resolves each time the member is asked for, with the context of whoever asks.
//
// The constructor is where those values come from in the end. It is not given to Fx and not called here: it is the
// function that errors name, and it is checked like that of Provide.
func Dynamic[T any](constructor any, get func(context.Context) (T, error), qs ...Qualifier) fx.Option {
	qs = slices.Clone(qs)
	err := checkMember[T](constructor, qs)
	if get == nil {
		err = errors.Join(err, errors.New("get must not be nil"))
	}
	if err != nil {
		return refuse[T]("provide dynamic", fxloc.Caller(0), qs, err)
	}
	where := fxloc.Func(constructor)
	member := func(o *order[T]) entry[T] {
		return entry[T]{number: o.take(), qualifiers: qs, where: where, get: get}
	}
	return fx.Options(
		fx.Provide(fxloc.At(fx.Annotate(member, fx.ResultTags(groupTag)), constructor)),
		register[T](where, nil, qs),
	)
}

// provideMember makes a member of Set[T] of what was provided under the name of qs.
func provideMember[T any](constructor any, where string, qs []Qualifier) fx.Option {
	member := func(o *order[T], value T) entry[T] {
		return entry[T]{number: o.take(), qualifiers: qs, where: where, value: value}
	}
	annotations := []fx.Annotation{fx.ResultTags(groupTag)}
	if len(qs) > 0 {
		annotations = append(annotations, fx.ParamTags("", Tag(qs...)))
	}
	return fx.Provide(fxloc.At(fx.Annotate(member, annotations...), constructor))
}

// place is the constructor with its file and line. A method value has none; then it is those of the call of Provide.
func place(constructor any, caller string) string {
	where := fxloc.Func(constructor)
	if strings.HasSuffix(where, ")") {
		return where
	}
	return where + " (provided at " + caller + ")"
}

func checkMember[T any](constructor any, qs []Qualifier) error {
	err := checkQualifiers(qs)
	if err != nil {
		err = fmt.Errorf("%s: %w", fxloc.Func(constructor), err)
	}
	return errors.Join(checkConstructor[T](constructor), err)
}

// refuse is the option that fails fx.New because of how an option of this package was called.
func refuse[T any](operation, caller string, qs []Qualifier, err error) fx.Option {
	return fx.Error(fmt.Errorf("fxqualifier: %s %s at %s: %w", operation, describe(reflect.TypeFor[T](), qs), caller, err))
}

// describe is how messages write a type with qualifiers: app.Notifier[channel=mail].
func describe(t reflect.Type, qs []Qualifier) string {
	if len(qs) == 0 {
		return t.String()
	}
	return fmt.Sprintf("%v[%s]", t, Name(qs...))
}
