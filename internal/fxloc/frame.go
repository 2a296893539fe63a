package fxloc

import (
	"fmt"
	"runtime"
)

// Frame is "pkg.Name (file:line)" of a return address, as runtime.Callers gives it: whoever made the call, and where.
func Frame(pc uintptr) string {
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	if frame.Function == "" {
		return "unknown place"
	}
	return fmt.Sprintf("%s (%s:%d)", frame.Function, frame.File, frame.Line)
}
