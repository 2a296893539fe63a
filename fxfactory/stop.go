package fxfactory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Stop destroys every instance, Low before Medium before High, those of one priority concurrently. It returns every error of
// Spec.Destroy, joined and named. From its beginning every other method that returns an error gives ErrStopped, and builds that run are
// cancelled. A second Stop waits for the first and returns nil.
//
// If ctx has a deadline, each priority gets a share of the time, so that one instance that hangs does not take it all. Stop returns when
// ctx ends; what then still runs is named in the error, and goes on by itself, with 15 s more. Where ctx has no deadline 45 s from now is
// taken for one.
func (f *Factory[T, C]) Stop(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cleanupBudget*time.Duration(len(startOrder)))
		defer cancel()
	}
	f.mu.Lock()
	if f.phase >= phaseStopping {
		f.mu.Unlock()
		select {
		case <-f.stopped:
			return nil
		case <-ctx.Done():
			return f.failWhole("stop", f.unfinished(ctx))
		}
	}
	all := f.close()
	f.mu.Unlock()
	go func() {
		f.teardown(ctx, all)
		f.finishStop()
	}()

	var late error
	select {
	case <-f.stopped:
	case <-ctx.Done():
		late = f.failWhole("stop", f.unfinished(ctx))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.takeStopErrors(), late)
}

// takeStopErrors gives what Destroy failed with until now; what comes later is logged. f.mu is held.
func (f *Factory[T, C]) takeStopErrors() error {
	errs := f.stopErrs
	f.stopErrs, f.stopLeft = nil, true
	return join(errs)
}

func (f *Factory[T, C]) unfinished(ctx context.Context) error {
	running := f.work.list()
	if len(running) == 0 {
		return context.Cause(ctx)
	}
	return fmt.Errorf("still running: %s: %w", strings.Join(running, ", "), context.Cause(ctx))
}

// close empties the factory for everybody and gives what is to be destroyed. f.mu is held.
func (f *Factory[T, C]) close() []*instance[T] {
	f.phase = phaseStopping
	var all []*instance[T]
	for _, r := range f.records {
		f.endRetries(r)
		if r.flight != nil {
			f.settle(r, r.flight, nil, f.stoppedError())
		}
		if r.current != nil {
			all = append(all, r.current)
		}
	}
	for in := range f.anonymous {
		all = append(all, in)
	}
	for in, timer := range f.retiring {
		timer.Stop()
		all = append(all, in)
	}
	clear(f.records)
	clear(f.anonymous)
	clear(f.retiring)
	f.withdrawAll(all)
	f.halt(ErrStopped)
	return all
}

// finishStop lets everybody know that all is destroyed, once nothing of the user's runs any more.
func (f *Factory[T, C]) finishStop() {
	f.work.wait(nil)
	close(f.stopped)
}

// teardown destroys all instances in the reverse of the start order. It goes on after ctx has ended, with a budget of its own.
func (f *Factory[T, C]) teardown(ctx context.Context, all []*instance[T]) {
	var groups [][]*instance[T]
	for i := len(startOrder) - 1; i >= 0; i-- {
		var group []*instance[T]
		for _, in := range all {
			if in.priority == startOrder[i] {
				group = append(group, in)
			}
		}
		if len(group) > 0 {
			groups = append(groups, group)
		}
	}
	b := &budget{ctx: ctx}
	defer b.release()
	for i, group := range groups {
		b.divide(len(groups) - i)
		var begun atomic.Int64
		each(group, f.options.concurrency, func(in *instance[T]) {
			left := len(group) - int(begun.Add(1)) + 1
			share, release := b.share((left + f.options.concurrency - 1) / f.options.concurrency)
			defer release()
			if err := f.destroy(share, in, ErrStopped); err != nil {
				f.stopFailed(f.failAt("destroy", in.name, err))
			}
		})
	}
}

// stopFailed keeps an error for Stop, or logs it if Stop has returned.
func (f *Factory[T, C]) stopFailed(err error) {
	f.mu.Lock()
	defer f.unlock()
	if f.stopLeft {
		f.note(func() { f.log.Error("destroy failed", zap.Error(err)) })
		return
	}
	f.stopErrs = append(f.stopErrs, err)
}

// A budget divides the time that a context has among priorities, and that of one priority among the rounds that its instances need with
// so many at once. When the context has ended the rest gets cleanupBudget, since nothing may stay undestroyed.
type budget struct {
	mu       sync.Mutex
	ctx      context.Context
	overtime bool
	groups   int       // that are left, this one included
	end      time.Time // of this group's share; zero for no limit
	cancel   context.CancelFunc
}

func (b *budget) divide(groups int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.groups = groups
	b.measure()
}

// measure sets the end of the group's share. b.mu is held.
func (b *budget) measure() {
	b.end = time.Time{}
	if deadline, ok := b.ctx.Deadline(); ok {
		b.end = time.Now().Add(time.Until(deadline) / time.Duration(b.groups))
	}
}

func (b *budget) share(rounds int) (context.Context, context.CancelFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil && !b.overtime {
		b.overtime = true
		b.ctx, b.cancel = context.WithTimeout(context.WithoutCancel(b.ctx), cleanupBudget)
		b.measure()
	}
	if b.end.IsZero() {
		return context.WithCancel(b.ctx)
	}
	share := max(time.Until(b.end)/time.Duration(rounds), time.Millisecond)
	if b.overtime { // it may be over, too: what is left is at least told to destroy itself
		return context.WithTimeout(context.WithoutCancel(b.ctx), share)
	}
	return context.WithTimeout(b.ctx, share)
}

func (b *budget) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		b.cancel()
	}
}
