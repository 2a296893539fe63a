package fxbackground

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxkit/fxkit/internal/guard"
)

var (
	// ErrDraining is what Run and Supervise return for work that comes too late: its Runner or Group drains or has
	// drained, and it is not submitted by a task that the drain still waits for.
	ErrDraining = errors.New("draining: no new tasks are accepted")
	// ErrQueueFull is what Run returns when as many tasks wait for a place as may.
	ErrQueueFull = errors.New("queue is full")
)

// These are the causes (context.Cause) with which the contexts of tasks and loops are cancelled.
var (
	errLate    = errors.New("fxbackground: the drain ran out of time")
	errStopped = errors.New("fxbackground: the drain has begun")
	errDrained = errors.New("fxbackground: drained")
)

// A PanicError is what a task that panicked failed with. It unwraps to the panic's value where that is an error.
type PanicError = guard.PanicError

// A DrainError names the tasks that a drain left behind: those that still run although they were cancelled, and
// those that were accepted and never got a place.
type DrainError struct {
	Abandoned []TaskInfo
	Waited    time.Duration // since the drain began
}

// mostNamed bounds the length of a DrainError's text.
const mostNamed = 100

// Error names each task once, with how many of them there are, but no more than a hundred. All are in Abandoned.
func (e *DrainError) Error() string {
	type origin struct{ group, name, caller string }
	var order []origin
	count := make(map[origin]int)
	for _, info := range e.Abandoned {
		o := origin{info.Group, info.Name, info.Caller}
		if count[o]++; count[o] == 1 {
			order = append(order, o)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "fxbackground: drain: %s left behind after %v:", plural(len(e.Abandoned), "task"), e.Waited.Round(time.Millisecond))
	named := 0
	for i, o := range order {
		if i > 0 {
			b.WriteByte(',')
		}
		if i == mostNamed {
			fmt.Fprintf(&b, " and %d more", len(e.Abandoned)-named)
			break
		}
		named += count[o]
		if n := count[o]; n > 1 {
			fmt.Fprintf(&b, " %d of", n)
		}
		fmt.Fprintf(&b, " %q", o.name)
		if o.group != "" {
			fmt.Fprintf(&b, " of group %q", o.group)
		}
		fmt.Fprintf(&b, " (%s)", o.caller)
	}
	return b.String()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
