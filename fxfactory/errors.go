package fxfactory

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fxkit/fxkit/internal/spelling"
)

var (
	// ErrNotFound is what every lookup of a name without a usable instance wraps.
	ErrNotFound = errors.New("no such instance")
	// ErrExists is what Create gives for a name that has an instance, is being built, or is out.
	ErrExists = errors.New("the instance exists")
	// ErrStopped is what every method that returns an error gives once Stop has begun.
	ErrStopped = errors.New("the factory is stopped")
)

// An opError says what was done to which instance: `fxfactory: create httpClient "aaa" (config.yaml:5:5): …`.
type opError struct {
	op, section, name, position string
	whole                       bool // no single instance is meant; "" may be a name
	err                         error
}

func (e *opError) Error() string {
	var b strings.Builder
	b.WriteString("fxfactory: ")
	b.WriteString(e.op)
	b.WriteByte(' ')
	b.WriteString(e.section)
	if !e.whole {
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(e.name))
	}
	if e.position != "" {
		b.WriteString(" (" + e.position + ")")
	}
	b.WriteString(": ")
	b.WriteString(e.err.Error())
	return b.String()
}

func (e *opError) Unwrap() error { return e.err }

// fail wraps what went wrong with a named instance; errors.Is and errors.As see through it.
func (f *Factory[T, C]) fail(op, name string, err error) error {
	return &opError{op: op, section: f.name, name: name, err: err}
}

// failWhole is fail for what concerns no single instance.
func (f *Factory[T, C]) failWhole(op string, err error) error {
	return &opError{op: op, section: f.name, whole: true, err: err}
}

// failAt is fail with the instance's place in the configuration, for what the configuration may be to blame.
func (f *Factory[T, C]) failAt(op, name string, err error) error {
	return &opError{op: op, section: f.name, name: name, position: f.source.position(name), err: err}
}

// join is errors.Join in an order that does not depend on which goroutine was first.
func join(errs []error) error {
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// A missingError lists what would have been right. Its text is put together only when it is read: a miss must stay cheap.
type missingError struct {
	name  string
	known []string // sorted; shared, never written
}

// list quotes names; of many the rest is counted, or with ten thousand instances the list would be the whole log.
func list(names []string) string {
	const most = 20
	if len(names) <= most {
		return spelling.List(names)
	}
	return fmt.Sprintf("%s and %d more", spelling.List(names[:most]), len(names)-most)
}

func (e *missingError) Error() string {
	return ErrNotFound.Error() + spelling.Hint(e.name, e.known) + "; known: " + list(e.known)
}

func (e *missingError) Unwrap() error { return ErrNotFound }

// An outError is why an instance that is configured cannot be had at the moment.
type outError struct{ last error }

func (e *outError) Error() string {
	return ErrNotFound.Error() + " at the moment, it is of priority Low and failed: " + e.last.Error()
}

func (e *outError) Unwrap() []error { return []error{ErrNotFound, e.last} }

// A noDefaultError says how to get a default instance.
type noDefaultError struct{ known []string }

func (e *noDefaultError) Error() string {
	return `no such instance: none is called "default" and there is not just one; set defaultClientName to one of ` +
		list(e.known)
}

func (e *noDefaultError) Unwrap() error { return ErrNotFound }

// stoppedError is ErrStopped, with the reason if that was a failed start. f.mu is held.
func (f *Factory[T, C]) stoppedError() error {
	if f.startErr != nil {
		return fmt.Errorf("%w since its start failed", ErrStopped)
	}
	return ErrStopped
}
