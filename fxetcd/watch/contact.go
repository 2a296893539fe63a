package watch

import (
	"context"
	"errors"
	"time"

	"github.com/fxkit/fxkit/fxetcd/internal/outage"
)

// contact takes note of an answer, fail of why there was none.
func (s *source) contact() {
	now := time.Now()
	s.heard.Store(&now)
	s.failed.Store(nil)
}

func (s *source) fail(err error) {
	if reason := outage.Reason(err); reason != nil {
		s.failed.Store(&reason)
	}
}

// trouble is why somebody has waited in vain since then, if that is known. A request may still be without an answer when its waiter's time is over.
func (s *source) trouble(ctx context.Context, since time.Time) error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	if heard := s.heard.Load(); errors.Is(ctx.Err(), context.DeadlineExceeded) && (heard == nil || heard.Before(since)) {
		return outage.ErrSilent
	}
	return nil
}
