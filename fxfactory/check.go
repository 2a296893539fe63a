package fxfactory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fxkit/fxkit/internal/guard"
)

// Check asks every named instance how it is, concurrently, and reports sorted by name. A Low instance that is out is reported with the
// error that put it there. An instance on which an earlier Spec.Check still runs, though nobody waits for it, is ill. Check returns when ctx ends: an instance that has not answered by then is reported with ctx's error, and a
// factory that is stopped has nothing to report.
func (f *Factory[T, C]) Check(ctx context.Context) []Health {
	type checked struct {
		health Health
		in     *instance[T] // nil: out
	}
	f.mu.Lock()
	all := make([]checked, 0, len(f.records))
	for name, r := range f.records {
		switch h := (Health{Name: name, Priority: r.priority}); {
		case r.current != nil:
			all = append(all, checked{h, r.current})
		case r.out != nil:
			h.Err = r.out
			all = append(all, checked{h, nil})
		}
	}
	f.mu.Unlock()

	pending := make([]*checked, 0, len(all))
	for i := range all {
		if all[i].in != nil && f.spec.Check != nil {
			pending = append(pending, &all[i])
		}
	}
	each(pending, f.options.concurrency, func(c *checked) {
		begin := time.Now()
		if err := f.check(ctx, c.in); err != nil {
			c.health.Err = f.failAt("check", c.in.name, err)
		}
		c.health.Latency = time.Since(begin)
	})
	report := make([]Health, 0, len(all))
	for _, c := range all {
		if c.in == nil || !c.in.gone() { // what was removed meanwhile is not ill
			report = append(report, c.health)
		}
	}
	slices.SortFunc(report, func(a, b Health) int { return strings.Compare(a.Name, b.Name) })
	return report
}

var errStuck = errors.New("an earlier check has not returned yet, though its context has ended")

// check calls Spec.Check. It returns when Check does, when ctx ends, or when the instance is to be destroyed.
func (f *Factory[T, C]) check(ctx context.Context, in *instance[T]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for u := in.stuck(); u != nil; u = in.stuck() { // another one would only be stuck beside it
		select {
		case <-u.over:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errStuck, context.Cause(ctx))
		}
	}
	u := in.begin(ctx, created)
	if u == nil {
		return errGone
	}
	defer in.leave(u)
	forUser, release := early(u.ctx)
	done := f.work.begin("check", in.name)
	return guard.Within(u.ctx, func() error {
		defer done()
		defer in.end(u)
		defer release()
		return f.spec.Check(forUser, in.value)
	}, nil)
}
