// Package fxloc names places in the user's code: the line that called us, the constructor that was given to us.
package fxloc

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// Caller is "file:line" of the caller of the function that calls it, with skip further frames left out.
func Caller(skip int) string {
	_, file, line, ok := runtime.Caller(2 + skip)
	if !ok {
		return "unknown place"
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// User is "file:line" of the first caller that is none of fxkit's own packages, so that a package which wraps an option of another's names
// the place of whoever called the wrapper.
func User() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		ours := strings.HasPrefix(frame.Function, "github.com/fxkit/fxkit/fx") && !strings.HasSuffix(frame.File, "_test.go")
		switch {
		case frame.File != "" && !ours:
			return fmt.Sprintf("%s:%d", frame.File, frame.Line)
		case !more:
			return "unknown place"
		}
	}
}

// Line is "file:line" of a return address, as runtime.Callers gives it.
func Line(pc uintptr) string {
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	if frame.File == "" {
		return "unknown place"
	}
	return fmt.Sprintf("%s:%d", frame.File, frame.Line)
}

// Func is "pkg.Name (file:line)" of a function value. For what is no function it is the type and "not a function".
func Func(fn any) string {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return fmt.Sprintf("%T (not a function)", fn)
	}
	return PC(v.Pointer())
}

// PC is "pkg.Name (file:line)" of the function at a program counter. A method value, as in cfg.NewClient, has no place
// of its own: it is "pkg.Type.Name".
func PC(pc uintptr) string {
	f := runtime.FuncForPC(pc)
	if f == nil {
		return "unknown function"
	}
	file, line := f.FileLine(pc)
	name, isMethodValue := strings.CutSuffix(f.Name(), "-fm")
	if isMethodValue {
		return name
	}
	return fmt.Sprintf("%s (%s:%d)", name, file, line)
}
