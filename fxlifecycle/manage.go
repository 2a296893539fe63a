package fxlifecycle

import (
	"errors"
	"fmt"
	"reflect"

	"go.uber.org/fx"
)

// ErrStopped is the error of starting an application again after a stop that destroyed its objects. Build a new one with fx.New.
var ErrStopped = errors.New("the application was stopped and its objects are destroyed: build a new one with fx.New")

// Manage runs obj's construction hooks and ties its other hooks to lc. Call it at the end of obj's constructor:
//
//	func NewLedger(lc fx.Lifecycle, db *sql.DB) (*Ledger, error) {
//		return fxlifecycle.Manage(lc, &Ledger{db: db})
//	}
//
// It owns obj from then on. If it returns an error, obj has been destroyed, T is zero and the caller has nothing to close.
// That is so when a construction hook fails or panics, and when the application has already begun to start.
//
// With [Coordinate], everything in the package's documentation holds. With a plain fx.Lifecycle, Init runs as OnStart,
// PreDestroy and then Destroy as OnStop, with all the limits that Fx has: no Destroy if fx.New or another's OnStart fails before
// this object's, or if start times out or is cancelled elsewhere. Destroy still follows a failure of its own Init.
func Manage[T any](lc fx.Lifecycle, obj T, opts ...Option) (T, error) {
	e := newEntry(obj, callerPC())
	err := e.apply(obj, opts)
	if err := e.manage(lc, err, nil); err != nil {
		var zero T
		return zero, err
	}
	return obj, nil
}

// manage ties the entry to lc. refused, unless nil, is why it cannot be.
func (e *entry) manage(lc fx.Lifecycle, refused error, inject func()) error {
	coordinated, _ := lc.(*lifecycle)
	if coordinated != nil {
		e.c = coordinated.c
	}
	if refused == nil {
		refused = e.mayBegin(lc)
	}
	if refused != nil {
		return errors.Join(refused, e.abandon())
	}
	if err := e.construct(inject); err != nil {
		return err
	}
	if coordinated == nil {
		appendPlain(lc, e)
		return nil
	}
	if err := coordinated.append(e, coordinated.managed); err != nil {
		return errors.Join(err, e.abandon())
	}
	return nil
}

// mayBegin refuses an object whose Init could not run any more.
func (e *entry) mayBegin(lc fx.Lifecycle) error {
	switch l := lc.(type) {
	case nil:
		return fmt.Errorf("fxlifecycle: manage %q: the fx.Lifecycle is nil; take it as a parameter of the constructor", e.object)
	case *lifecycle:
		return l.c.mayAppend(e)
	case interface{ RunningHookCaller() string }:
		// Fx's own lifecycle says only this much: the last hook that it ran.
		if l.RunningHookCaller() != "" {
			return e.tooLate("has begun to start")
		}
	}
	return nil
}

func (e *entry) tooLate(state string) error {
	return fmt.Errorf("fxlifecycle: manage %q: the application %s, so its Init would never run; call Manage in the constructor", e.object, state)
}

// apply applies the options and refuses an object whose hooks could not run.
func (e *entry) apply(obj any, opts []Option) error {
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.apply(e); err != nil {
			return fmt.Errorf("fxlifecycle: manage %q: %s: %w", e.object, o, err)
		}
	}
	if isNil(obj) {
		e.hooks = Hooks{} // the object's own would only panic
		return fmt.Errorf("fxlifecycle: manage %q: the object is nil", e.object)
	}
	if hook := e.hookOfPointer(obj); hook != "" {
		return fmt.Errorf("fxlifecycle: manage %q: its hook %s is declared on the pointer, so a copy would never run it; give Manage a *%s", e.object, hook, typeName(obj))
	}
	return nil
}

// hookOfPointer is a hook that only a pointer to the object has: a forgotten & would go unnoticed.
func (e *entry) hookOfPointer(obj any) string {
	t := reflect.TypeOf(obj)
	if t.Kind() == reflect.Pointer {
		return ""
	}
	for _, hook := range []struct {
		name  string
		owner reflect.Type
		has   bool
	}{
		{postConstruct, reflect.TypeFor[PostConstructor](), e.hooks.PostConstruct != nil},
		{preInject, reflect.TypeFor[PreInjector](), e.hooks.PreInject != nil},
		{postInject, reflect.TypeFor[PostInjector](), e.hooks.PostInject != nil},
		{initialize, reflect.TypeFor[Initializer](), e.hooks.Init != nil},
		{preDestroy, reflect.TypeFor[PreDestroyer](), e.hooks.PreDestroy != nil},
		{destroy, reflect.TypeFor[Destroyer](), e.hooks.Destroy != nil},
	} {
		if !hook.has && reflect.PointerTo(t).Implements(hook.owner) {
			return hook.name
		}
	}
	return ""
}

func isNil(obj any) bool {
	if obj == nil {
		return true
	}
	v := reflect.ValueOf(obj)
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func:
		return v.IsNil()
	}
	return false
}
