package fxlifecycle

import "context"

// PostConstructor is an object with a hook that runs first, before anything has been injected into it.
type PostConstructor interface {
	PostConstruct(ctx context.Context) error
}

// PreInjector is an object with a hook that runs after PostConstruct, immediately before injection.
type PreInjector interface {
	PreInject(ctx context.Context) error
}

// PostInjector is an object with a hook that runs when all its dependencies are in place, before anybody else sees the object.
type PostInjector interface {
	PostInject(ctx context.Context) error
}

// Initializer is an object with a hook that runs when the application starts, after Init of everything it depends on.
type Initializer interface {
	Init(ctx context.Context) error
}

// PreDestroyer is an object with a hook that runs when the application stops: it takes no new work and finishes what is in
// hand, while the object itself stays usable for others. It runs only for objects that start has passed successfully.
type PreDestroyer interface {
	PreDestroy(ctx context.Context) error
}

// Destroyer is an object with a hook that releases what construction and Init acquired. It runs exactly once, whatever
// happened before: it must tolerate an Init that did not run, failed halfway, or still runs because it ignored its context.
type Destroyer interface {
	Destroy(ctx context.Context) error
}

// Hooks are the same six as functions, for objects whose type you do not own. Each may be nil.
type Hooks struct {
	PostConstruct, PreInject, PostInject, Init, PreDestroy, Destroy func(context.Context) error
}

// hooksOf are the hooks that obj has as methods.
func hooksOf(obj any) Hooks {
	var h Hooks
	if o, ok := obj.(PostConstructor); ok {
		h.PostConstruct = o.PostConstruct
	}
	if o, ok := obj.(PreInjector); ok {
		h.PreInject = o.PreInject
	}
	if o, ok := obj.(PostInjector); ok {
		h.PostInject = o.PostInject
	}
	if o, ok := obj.(Initializer); ok {
		h.Init = o.Init
	}
	if o, ok := obj.(PreDestroyer); ok {
		h.PreDestroy = o.PreDestroy
	}
	if o, ok := obj.(Destroyer); ok {
		h.Destroy = o.Destroy
	}
	return h
}

// override replaces each hook that other has.
func (h *Hooks) override(other Hooks) {
	for _, o := range []struct{ mine, other *func(context.Context) error }{
		{&h.PostConstruct, &other.PostConstruct},
		{&h.PreInject, &other.PreInject},
		{&h.PostInject, &other.PostInject},
		{&h.Init, &other.Init},
		{&h.PreDestroy, &other.PreDestroy},
		{&h.Destroy, &other.Destroy},
	} {
		if *o.other != nil {
			*o.mine = *o.other
		}
	}
}
