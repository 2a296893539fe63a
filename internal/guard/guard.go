// Package guard runs code of the user's so that nothing it does ends the process or blocks its caller for ever.
package guard

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrGoexit is what Within returns for a function that ended its goroutine with runtime.Goexit (as testing.T.FailNow does).
var ErrGoexit = errors.New("ended its goroutine (runtime.Goexit) instead of returning")

// A PanicError is a recovered panic. It unwraps to the panic's value where that is an error.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Call runs fn in this goroutine and turns a panic into a *PanicError.
func Call(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return fn()
}

// Within runs fn in a goroutine of its own and waits until it returns or ctx ends, whichever is first.
// In the second case it returns context.Cause(ctx), and fn is left behind; late, if not nil, then
// gets fn's error once fn has returned. Panics are *PanicError, runtime.Goexit is ErrGoexit.
func Within(ctx context.Context, fn func() error, late func(error)) error {
	done := make(chan error)
	go func() {
		err := ErrGoexit
		defer func() {
			select {
			case done <- err:
			case <-ctx.Done():
				if late != nil {
					late(err)
				}
			}
		}()
		err = Call(fn)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
