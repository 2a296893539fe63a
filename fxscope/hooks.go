package fxscope

import (
	"context"
	"reflect"

	"github.com/fxkit/fxkit/fxlifecycle"
)

// A hookSet is which of fxlifecycle's hooks a type has.
type hookSet uint8

const (
	hasPostConstruct hookSet = 1 << iota
	hasPreInject
	hasPostInject
	hasInit
	hasPreDestroy
	hasDestroy

	constructionHooks = hasPostConstruct | hasPreInject | hasPostInject | hasInit
	endHooks          = hasPreDestroy | hasDestroy
)

// hookTypes never changes.
var hookTypes = [...]struct {
	bit  hookSet
	name string
	t    reflect.Type
}{
	{hasPostConstruct, "PostConstruct", reflect.TypeFor[fxlifecycle.PostConstructor]()},
	{hasPreInject, "PreInject", reflect.TypeFor[fxlifecycle.PreInjector]()},
	{hasPostInject, "PostInject", reflect.TypeFor[fxlifecycle.PostInjector]()},
	{hasInit, "Init", reflect.TypeFor[fxlifecycle.Initializer]()},
	{hasPreDestroy, "PreDestroy", reflect.TypeFor[fxlifecycle.PreDestroyer]()},
	{hasDestroy, "Destroy", reflect.TypeFor[fxlifecycle.Destroyer]()},
}

// hooksOf asks each type once.
func (s *Scopes) hooksOf(t reflect.Type) hookSet {
	if known, ok := s.hookSets.Load(t); ok {
		set, _ := known.(hookSet)
		return set
	}
	var set hookSet
	for _, h := range hookTypes {
		if t.Implements(h.t) {
			set |= h.bit
		}
	}
	s.hookSets.Store(t, set)
	return set
}

// hookOfPointer is a hook that a pointer to a t has and t has not: a forgotten & would go unnoticed.
func hookOfPointer(t reflect.Type) string {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return ""
	}
	for _, h := range hookTypes {
		if !t.Implements(h.t) && reflect.PointerTo(t).Implements(h.t) {
			return h.name
		}
	}
	return ""
}

// An object is what a constructor made, where it has hooks.
type object struct {
	key
	where string
	value any
	hooks hookSet
	ready bool // its construction hooks have all succeeded
}

type hook struct {
	name string
	run  func(context.Context) error
}

// first are the hooks that run before the object is handed out, in order.
func (o *object) first() []hook {
	var hooks []hook
	if h, ok := o.value.(fxlifecycle.PostConstructor); ok {
		hooks = append(hooks, hook{"PostConstruct", h.PostConstruct})
	}
	if h, ok := o.value.(fxlifecycle.PreInjector); ok {
		hooks = append(hooks, hook{"PreInject", h.PreInject})
	}
	if h, ok := o.value.(fxlifecycle.PostInjector); ok {
		hooks = append(hooks, hook{"PostInject", h.PostInject})
	}
	if h, ok := o.value.(fxlifecycle.Initializer); ok {
		hooks = append(hooks, hook{"Init", h.Init})
	}
	return hooks
}

// preDestroy is nil for an object that was never ready: it has taken no work.
func (o *object) preDestroy() func(context.Context) error {
	if h, ok := o.value.(fxlifecycle.PreDestroyer); ok && o.ready {
		return h.PreDestroy
	}
	return nil
}

func (o *object) destroy() func(context.Context) error {
	if h, ok := o.value.(fxlifecycle.Destroyer); ok {
		return h.Destroy
	}
	return nil
}
