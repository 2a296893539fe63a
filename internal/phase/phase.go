// Package phase gives every step of a shutdown a share of the time there is, so that one that hangs cannot use up what
// the others need. fxlifecycle stops an application with it, fxscope ends a scope:
//
//	budget := phase.BudgetOf(ctx, phase.Default)
//	first := phase.NewShares(budget.Begin, budget.ThreeQuarters()) // PreDestroy of all
//	for _, o := range objects {
//		first.Add(o.stopTimeout) // 0: an equal share with the others
//	}
//	for _, o := range slices.Backward(objects) {
//		err := phase.Run(ctx, first.Next(o.stopTimeout), o.PreDestroy, nil)
//		// a *phase.LeftBehind is a hook that still runs
//	}
package phase

import (
	"context"
	"time"
)

const (
	// Default is the budget of a stop whose context has no deadline. It is Fx's own default.
	Default = 15 * time.Second
	// Least is the smallest share. A budget that is used up still gives each hook that much: closing most things takes
	// microseconds, and not to try is a certain leak.
	Least = time.Millisecond

	mostReserve = 250 * time.Millisecond
)

// A Budget is the time that a whole stop may take.
type Budget struct{ Begin, End time.Time }

// BudgetOf is the time from now to ctx's deadline, or fallback where it has none, less a reserve of a twentieth (at most 250 ms).
// The reserve is for who waits with the same context: Fx, and much else, drops every error that comes after the deadline.
func BudgetOf(ctx context.Context, fallback time.Duration) Budget {
	now := time.Now()
	total := fallback
	if deadline, ok := ctx.Deadline(); ok {
		total = max(0, deadline.Sub(now))
	}
	return Budget{Begin: now, End: now.Add(total - min(total/20, mostReserve))}
}

// ThreeQuarters is when three quarters of the budget have passed: the end of a first phase that leaves the second enough.
func (b Budget) ThreeQuarters() time.Time {
	return b.Begin.Add(b.End.Sub(b.Begin) / 4 * 3)
}

// Shares divides the time until the end of a phase among its hooks. Whoever needs less than its share leaves the rest to those after it.
// A hook may have a claim, which is served before the rest is shared; a tenth of the phase always stays for the hooks without one.
// Not for use by several goroutines at once.
type Shares struct {
	end    time.Time
	tenth  time.Duration
	claims time.Duration // of the claiming hooks that have not run
	others int           // hooks without a claim that have not run
	all    int           // hooks without a claim
}

// NewShares begins a phase. Add its hooks, then call Next for each as it runs.
func NewShares(begin, end time.Time) *Shares {
	return &Shares{end: end, tenth: max(0, end.Sub(begin)) / 10}
}

// Add announces a hook that will run in this phase, and its claim: 0 for none.
func (s *Shares) Add(claim time.Duration) {
	if claim > 0 {
		s.claims += claim
		return
	}
	s.others++
	s.all++
}

// Next is the share of a hook that begins now; claim is what Add got for it. Claims that are more than there is shrink in proportion.
func (s *Shares) Next(claim time.Duration) time.Duration {
	left := time.Until(s.end)
	claimed := min(s.claims, s.forClaims(left))
	if claim > 0 {
		share := time.Duration(float64(claimed) * (float64(claim) / float64(max(claim, s.claims))))
		s.claims -= claim
		return max(Least, share)
	}
	share := (left - claimed) / time.Duration(max(1, s.others))
	s.others--
	return max(Least, share)
}

// forClaims is what the claiming hooks may use together: all but the part of the tenth that belongs to the others still to run.
func (s *Shares) forClaims(left time.Duration) time.Duration {
	if s.all == 0 {
		return left
	}
	return left - s.tenth*time.Duration(s.others)/time.Duration(s.all)
}
