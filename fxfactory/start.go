package fxfactory

import (
	"context"
	"errors"
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
	return errors.Join(err, f.rollback(ctx, err))
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
	work := ctx
	if s.in.priority == Low {
		// It may fail, but not by using up the time of the whole: so it has a little less, and its destruction a little of that.
		var release, releaseWork context.CancelFunc
		ctx, release = early(ctx)
		defer release()
		work, releaseWork = early(ctx)
		defer releaseWork()
	}
	err := f.start(work, s.in, false)
	if err == nil {
		return nil
	}
	destroyed, err := f.startFailed(s, f.failAt("start", s.in.name, err))
	if destroyed != nil {
		select {
		case <-destroyed:
		case <-ctx.Done():
		}
	}
	return err
}

// startFailed decides what an instance's failure means: that of the whole, or that a Low instance is taken out and destroyed.
func (f *Factory[T, C]) startFailed(s starter[T, C], err error) (destroyed <-chan struct{}, _ error) {
	f.mu.Lock()
	defer f.unlock()
	switch r := s.record; {
	case f.phase >= phaseStopping:
		return nil, err
	case !f.holds(s):
		return nil, nil // removed, replaced or closed meanwhile: its start concerns nobody
	case r == nil || r.priority != Low:
		return nil, err
	case r.injected:
		return nil, fmt.Errorf("%w (it is of priority Low, but somebody has it injected and cannot do without)", err)
	default:
		return f.takeOut(r, err), nil
	}
}

// takeOut makes a Low instance one that is out, and destroys it. f.mu is held.
func (f *Factory[T, C]) takeOut(r *record[T, C], err error) (destroyed <-chan struct{}) {
	in := r.current
	r.current, r.out = nil, err
	f.unpublish(in)
	f.noteOut(r)
	end, done := f.work.begin("destroy", in.name), make(chan struct{})
	go func() {
		defer close(done)
		defer end()
		f.discard(in, err)
	}()
	return done
}

// holds says whether what is to be started is still the factory's. f.mu is held.
func (f *Factory[T, C]) holds(s starter[T, C]) bool {
	if s.record == nil {
		_, open := f.anonymous[s.in]
		return open
	}
	return f.records[s.in.name] == s.record && s.record.current == s.in
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
		f.note(func() { f.log.Info("an instance of priority Low is back", zap.String("instance", r.name)) })
	}
}

// endRetries is for a record that needs no more of them. f.mu is held.
func (f *Factory[T, C]) endRetries(r *record[T, C]) {
	if r.retry != nil {
		r.retry.Stop()
		r.retry = nil
	}
}
