package fxscope

import (
	"errors"
	"strings"
)

var (
	// ErrNoScope is what Get returns for a context that no scope was begun with.
	ErrNoScope = errors.New("the context has no scope")
	// ErrEnded is what Get returns once its scope has ended, and Run once the application stops.
	ErrEnded = errors.New("the scope has ended")
	// ErrNotProvided is what Get returns for a type that no scoped constructor provides, and for what depends on a
	// Value that its scope was begun without.
	ErrNotProvided = errors.New("not provided")
)

// A buildError is a failed Get. It is shared by all who waited for the same build, so it does not change once made.
type buildError struct {
	path []key // what was asked for, what that wanted, ... what failed
	err  error
}

func (e *buildError) Error() string {
	var b strings.Builder
	b.WriteString("fxscope: get ")
	writePath(&b, e.path)
	b.WriteString(": ")
	b.WriteString(e.err.Error())
	return b.String()
}

func (e *buildError) Unwrap() error { return e.err }

// failed is err as the failure of a Get of k: if err is that of something k wanted, with k before its path.
func failed(k key, err error) *buildError {
	//nolint:errorlint // only an error of the plan's own recursion; one that a constructor wrapped keeps its text
	if wanted, ok := err.(*buildError); ok {
		return &buildError{append([]key{k}, wanted.path...), wanted.err}
	}
	return &buildError{[]key{k}, err}
}

func writePath(b *strings.Builder, path []key) {
	for i, k := range path {
		if i > 0 {
			b.WriteString(", which wanted ")
		}
		b.WriteString(k.String())
	}
}
