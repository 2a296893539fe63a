// Package backoff spaces the attempts of a loop that tries for ever.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy is how long to wait between attempts: Base after the first failure, twice as long after each further one, Max at most.
type Policy struct{ Base, Max time.Duration }

// Delay is the wait after so many failures in a row, one or more. A random half of it keeps many processes, which all lost the same server, apart.
func (p Policy) Delay(failures int) time.Duration {
	d := p.Base
	for i := 1; i < failures && d < p.Max; i++ {
		d *= 2
	}
	d = min(d, p.Max)
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2+1)
}

// Wait waits for d, or until ctx ends: then it returns false.
func Wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
