package fxfactory

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// Module provides *Factory[T, C] with the instances that a section of the configuration describes, the default instance as T, and every
// instance as Instance[T] in group:"<section>", a snapshot.
//
// newSpec is any Fx constructor that returns Spec[T, C], or that and an error; Fx fills its parameters. There is one section per pair of
// T and C: for a second, define a second C.
//
// Listing the Module is enough to build the instances in fx.New, where what is wrong with the configuration is reported. They are
// started in OnStart, and destroyed when the application stops; see the package's documentation for what happens on failures. It takes
// *fxconfig.Config and *zap.Logger where the application provides them. Without a Config the section counts as empty.
func Module[T, C any](section string, newSpec any, opts ...Option) fx.Option {
	o, err := newOptions(opts)
	if o.createTimeout == 0 {
		o.createTimeout = defaultCreateTimeout
	}
	if err = errors.Join(checkSection(section), checkConstructor[T, C](newSpec), err); err != nil {
		return fx.Error(fmt.Errorf("fxfactory: Module of section %q: %w", section, err))
	}
	construct := any(func(p loggedParams[T, C]) (*Factory[T, C], error) {
		o := o
		o.log = p.Log
		return newManaged(section, o, p.Params)
	})
	if o.hasLog { // and it may be this very factory that provides the application's
		construct = func(p params[T, C]) (*Factory[T, C], error) { return newManaged(section, o, p) }
	}
	provided := []any{
		construct,
		fx.Annotated{Group: section + ",flatten", Target: snapshot[T, C]},
		fx.Annotated{Group: "fxfactory.factories", Target: func(f *Factory[T, C]) Observed { return f }},
	}
	if !o.withoutDefault {
		provided = append(provided, func(f *Factory[T, C]) (T, error) { return f.injectDefault() })
	}
	return fx.Module(section,
		fx.Provide(newSpec, fx.Private),
		fx.Provide(provided...),
		fx.Invoke(func(*Factory[T, C]) {}),
	)
}

type params[T, C any] struct {
	fx.In

	Lifecycle fx.Lifecycle
	Spec      Spec[T, C]
	Config    *fxconfig.Config `optional:"true"`
}

type loggedParams[T, C any] struct {
	fx.In

	Params params[T, C]
	Log    *zap.Logger `optional:"true"`
}

func newManaged[T, C any](name string, o options, p params[T, C]) (*Factory[T, C], error) {
	src, plan := fromSection(section{p.Config, name}, o.keys, p.Spec)
	f, err := build(context.Background(), name, p.Spec, o, src, plan)
	if err != nil {
		return nil, err
	}
	return fxlifecycle.Manage(p.Lifecycle, f,
		fxlifecycle.WithName(name), fxlifecycle.WithHooks(fxlifecycle.Hooks{Init: f.Start, Destroy: f.Stop}))
}

// snapshot is what the group gets.
func snapshot[T, C any](f *Factory[T, C]) []Instance[T] {
	all := make([]Instance[T], 0, f.Len())
	for name, value := range f.All() {
		all = append(all, Instance[T]{Name: name, Priority: f.Priority(name), Value: value})
	}
	return all
}

func checkSection(section string) error {
	switch {
	case section == "":
		return errors.New("the section needs a name")
	case strings.ContainsAny(section, ",`\""):
		return errors.New("a section's name is also that of an Fx group, which can have no comma and no quote")
	}
	return nil
}

// checkConstructor finds the mistakes that Fx would report as a missing Spec. What is no function, such as the result of
// fx.Annotate, is Fx's to judge.
func checkConstructor[T, C any](newSpec any) error {
	want := reflect.TypeFor[Spec[T, C]]()
	t := reflect.TypeOf(newSpec)
	if t == nil || t == want || t == reflect.PointerTo(want) {
		return fmt.Errorf("newSpec must be a constructor, func(…) %v, not %T", want, newSpec)
	}
	if t.Kind() != reflect.Func {
		return nil
	}
	if t.NumOut() == 0 || t.Out(0) != want && !isResult(t.Out(0)) {
		return fmt.Errorf("newSpec must return %v, or that and an error; it is %v", want, t)
	}
	return nil
}

func isResult(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && fxOut(t)
}

func fxOut(t reflect.Type) bool {
	field, ok := t.FieldByName("Out")
	return ok && field.Anonymous && field.Type == reflect.TypeFor[fx.Out]()
}
