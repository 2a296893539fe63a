package fxlifecycle

import (
	"errors"
	"fmt"

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
	if err := coordinated.append(e, fx.Hook{}); err != nil {
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
			return e.tooLate()
		}
	}
	return nil
}

func (e *entry) tooLate() error {
	return fmt.Errorf("fxlifecycle: manage %q: the application has begun to start, its Init would never run; call Manage in the constructor", e.object)
}
