package phase

import (
	"context"
	"fmt"
	"time"

	"github.com/fxkit/fxkit/internal/guard"
)

// LeftBehind is the error of a hook that still ran when its share of the time was over.
type LeftBehind struct {
	After time.Duration // how long it had run
	Cause error         // why its context had ended: context.DeadlineExceeded, or that of whoever cancelled it
}

func (e *LeftBehind) Error() string {
	return fmt.Sprintf("left behind after %s, still running although its context has ended (%v)", Round(e.After), e.Cause)
}

func (e *LeftBehind) Unwrap() error { return e.Cause }

// Run runs hook, in a goroutine of its own, and waits for it as long as its share: its context ends a tenth earlier, so that a
// hook that honours it can still say why it failed. One that does not is left behind with a *LeftBehind; late, unless nil,
// gets its error and how long it ran once it does return. A panic is a *guard.PanicError, runtime.Goexit is guard.ErrGoexit.
func Run(ctx context.Context, share time.Duration, hook func(context.Context) error, late func(error, time.Duration)) error {
	begin := time.Now()
	share = max(Least, share)
	hookCtx, cancel := context.WithDeadline(ctx, begin.Add(share-share/10))
	done, left := make(chan error), make(chan struct{})
	go func() {
		err := guard.ErrGoexit
		defer func() {
			select {
			case done <- err:
			case <-left:
				if late != nil {
					late(err, time.Since(begin))
				}
			}
			cancel() // last: before the send it would look like the end of the share
		}()
		err = guard.Call(func() error { return hook(hookCtx) })
	}()

	select {
	case err := <-done:
		return err
	case <-hookCtx.Done():
	}
	// Only a hook that uses up its context costs this second timer. A cancelled context ends no share early: what comes
	// next relies on this hook being over.
	rest := time.NewTimer(time.Until(begin.Add(share)))
	defer rest.Stop()
	select {
	case err := <-done:
		return err
	case <-rest.C:
	}
	// A timer that comes late means that the whole process stood still, and the hook with it: it gets that time back.
	rest.Reset(time.Since(begin) - share)
	select {
	case err := <-done:
		return err
	case <-rest.C:
	}
	select {
	case err := <-done: // both at once
		return err
	default:
	}
	close(left)
	return &LeftBehind{After: time.Since(begin), Cause: context.Cause(hookCtx)}
}

// Round shortens a duration for people to read.
func Round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
