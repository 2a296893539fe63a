package fxfactory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/backoff"
)

// Start starts every instance: High, then Medium, then Low, those of one priority concurrently. An instance that is created from now
// on is started before anybody sees it.
//
// If a High or Medium instance fails, or ctx ends, Start destroys all instances and the factory stays empty, as after Stop;
// the error names every failure. A Low one that fails is destroyed, logged and left out, and retried until Stop.
// A second Start waits for the first and gives its outcome. Start returns when ctx ends, even where Spec.Start ignores it.
func (f *Factory[T, C]) Start(ctx context.Context) error {
	f.mu.Lock()
	switch f.phase {
	case phaseNew:
	case phaseStopping:
		defer f.mu.Unlock()
		return f.failWhole("start", f.stoppedError())
	default:
		f.mu.Unlock()
		return f.joinStart(ctx)
	}
	f.phase = phaseStarting
	groups := f.startGroups()
	f.mu.Unlock()
	defer close(f.started)

	work, release := f.until(ctx)
	defer release()
	var err error
	for _, group := range groups {
		if err = f.startGroup(work, group); err != nil {
			break
		}
	}
	f.mu.Lock()
	if f.phase >= phaseStopping {
		defer f.mu.Unlock()
		return f.failWhole("start", ErrStopped)
	}
	if err == nil {
		defer f.mu.Unlock()
		f.phase = phaseStarted
		for _, r := range f.records {
			f.scheduleRetry(r)
		}
		return nil
	}
	f.mu.Unlock()
	f.rollback(ctx, err)
	return err
}

// joinStart waits for another call of Start.
func (f *Factory[T, C]) joinStart(ctx context.Context) error {
	select {
	case <-f.started:
	case <-ctx.Done():
		return f.failWhole("start", context.Cause(ctx))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.startErr != nil:
		return f.startErr
	case f.phase >= phaseStopping:
		return f.failWhole("start", ErrStopped)
	}
	return nil
}

// A starter is an instance that Start starts: of a record, or one of Open.
type starter[T, C any] struct {
	in     *instance[T]
	record *record[T, C]
}

// startGroups is what there is to start, by priority. f.mu is held.
func (f *Factory[T, C]) startGroups() [len(startOrder)][]starter[T, C] {
	var groups [len(startOrder)][]starter[T, C]
	add := func(s starter[T, C]) {
		for i, p := range startOrder {
			if s.in.priority == p {
				groups[i] = append(groups[i], s)
			}
		}
	}
	for _, r := range f.records {
		if r.current != nil {
			add(starter[T, C]{r.current, r})
		}
	}
	for in := range f.anonymous {
		add(starter[T, C]{in, nil})
	}
	return groups
}

// startGroup starts the instances of one priority, and returns an error if one fails that must not or ctx has ended.
func (f *Factory[T, C]) startGroup(ctx context.Context, group []starter[T, C]) error {
	var mu sync.Mutex
	var errs []error
	each(group, f.options.concurrency, func(s starter[T, C]) {
		if ctx.Err() != nil {
			return
		}
		if err := f.startOne(ctx, s); err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
	})
	if ctx.Err() != nil {
		errs = append(errs, f.failWhole("start", context.Cause(ctx)))
	}
	return join(errs)
}

func (f *Factory[T, C]) startOne(ctx context.Context, s starter[T, C]) error {
	if s.in.priority == Low { // its time is up a little before that of the whole, or it would fail the whole
		var release context.CancelFunc
		ctx, release = early(ctx)
		defer release()
	}
	err := f.start(ctx, s.in, false)
	if err == nil {
		return nil
	}
	err = f.failAt("start", s.in.name, err)
	f.mu.Lock()
	if f.phase >= phaseStopping {
		f.mu.Unlock()
		return err
	} else if r := s.record; r != nil && r.current != s.in || r == nil && !f.holds(s.in) {
		f.mu.Unlock()
		return nil // removed, replaced or closed meanwhile: its start concerns nobody
	} else if s.in.priority != Low || r == nil {
		f.mu.Unlock()
		return err
	} else if r.injected {
		f.mu.Unlock()
		return fmt.Errorf("%w (it is of priority Low, but injected, so nobody can do without it)", err)
	}
	r := s.record
	r.current, r.out = nil, err
	f.unpublish(s.in)
	f.logOut(r)
	end := f.work.begin("destroy", s.in.name)
	f.mu.Unlock()
	discard := func() {
		defer end()
		f.discard(s.in, err)
	}
	if s.in.busy() { // Spec.Start ignores its context: not even its destruction is waited for
		go discard()
	} else {
		discard()
	}
	return nil
}

// holds says whether an anonymous instance is still open. f.mu is held.
func (f *Factory[T, C]) holds(in *instance[T]) bool {
	_, ok := f.anonymous[in]
	return ok
}

var retries = backoff.Policy{Base: 200 * time.Millisecond, Max: 30 * time.Second}

// scheduleRetry plans the next attempt to build an instance that is out, unless one is planned or runs. f.mu is held.
func (f *Factory[T, C]) scheduleRetry(r *record[T, C]) {
	if f.phase != phaseStarted || r.out == nil || r.retry != nil || r.flight != nil {
		return
	}
	r.attempts++
	r.retry = time.AfterFunc(retries.Delay(r.attempts), func() { f.attempt(r) })
}

func (f *Factory[T, C]) attempt(r *record[T, C]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.retry = nil
	if f.phase != phaseStarted || f.records[r.name] != r || r.out == nil || r.flight != nil {
		return
	}
	f.launch(context.Background(), r, nil, true)
}

// recovered ends the retries of a record that has an instance again. f.mu is held.
func (f *Factory[T, C]) recovered(r *record[T, C]) {
	f.endRetries(r)
	if r.out != nil {
		r.out, r.attempts = nil, 0
		f.log.Info("an instance of priority Low is back", zap.String("instance", r.name))
	}
}

// endRetries is for a record that needs no more of them. f.mu is held.
func (f *Factory[T, C]) endRetries(r *record[T, C]) {
	if r.retry != nil {
		r.retry.Stop()
		r.retry = nil
	}
}
