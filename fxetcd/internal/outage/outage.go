// Package outage says why somebody waited for etcd in vain.
package outage

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrSilent is that a request had no answer in its time, and nobody knows why.
var ErrSilent = errors.New("etcd does not answer")

// Reason is what the error of a request says about etcd: nothing, if its caller gave it up, and ErrSilent, if it says no more than that its
// time was over. What comes after that, with some clients, is why there was no answer in time.
func Reason(err error) error {
	switch text := err.Error(); {
	case strings.HasSuffix(text, context.Canceled.Error()):
		return nil
	case strings.HasSuffix(text, context.DeadlineExceeded.Error()):
		return ErrSilent
	default:
		return err
	}
}

// Ended is the error of a wait that its context has ended, with the last Reason, if there is one. The context's error and its cause can be
// matched, and so can the reason.
func Ended(ctx context.Context, last error) error {
	err := context.Cause(ctx)
	if !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	switch {
	case last == nil:
		return err
	case errors.Is(last, ErrSilent):
		return fmt.Errorf("%w: %w", last, err)
	default:
		return fmt.Errorf("%w; last: %w", err, last)
	}
}
