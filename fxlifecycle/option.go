package fxlifecycle

import (
	"errors"
	"fmt"
	"time"
)

// An Option changes how one object is managed.
type Option interface {
	fmt.Stringer
	apply(*entry) error
}

// WithHooks uses each hook that h has instead of the object's own method of that name. Given more than once, the last one counts, per hook.
func WithHooks(h Hooks) Option { return withHooks(h) }

type withHooks Hooks

func (o withHooks) String() string { return "fxlifecycle.WithHooks(…)" }

func (o withHooks) apply(e *entry) error {
	e.hooks.override(Hooks(o))
	return nil
}

// WithName names the object in errors, logs and the journal. The default is its type.
func WithName(name string) Option { return withName(name) }

type withName string

func (o withName) String() string { return fmt.Sprintf("fxlifecycle.WithName(%q)", string(o)) }

func (o withName) apply(e *entry) error {
	if o == "" {
		return errors.New("the name is empty; leave the option out to use the type")
	}
	e.object = string(o)
	return nil
}

// WithStopTimeout is what the object's PreDestroy may take of the stop budget before the rest is shared among the others,
// for objects that drain: the default share, time left by hooks left, is little in an application with many hooks.
// However long it is, a tenth of the phase stays for the others.
func WithStopTimeout(d time.Duration) Option { return withStopTimeout(d) }

type withStopTimeout time.Duration

func (o withStopTimeout) String() string {
	return fmt.Sprintf("fxlifecycle.WithStopTimeout(%s)", time.Duration(o))
}

func (o withStopTimeout) apply(e *entry) error {
	if o <= 0 {
		return errors.New("the timeout must be more than 0")
	}
	e.claim = time.Duration(o)
	return nil
}

// StopsFirst has the object's PreDestroy run before those of all others, wherever it stands among the dependencies. It is for what tells others
// to stay away, such as a service registry: that has to be done while everything still serves. Several such objects keep their order.
// It works with Coordinate; plain Fx knows no such thing.
func StopsFirst() Option { return stopsFirst{} }

type stopsFirst struct{}

func (stopsFirst) String() string { return "fxlifecycle.StopsFirst()" }

func (stopsFirst) apply(e *entry) error {
	e.first = true
	return nil
}
