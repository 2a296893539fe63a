package fxfactory

import (
	"context"
	"errors"
)

// A flight is a build of a named instance that runs, and belongs to all who wait for it: its context carries the first caller's values but
// ends only when the last caller has left, when its name is removed, or when the factory stops. All fields under Factory.mu, but
// for done; in and err are read once done is closed.
type flight[T any] struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	callers int
	settled bool
	done    chan struct{}
	in      *instance[T]
	err     error
}

var (
	errAbandoned = errors.New("every caller has left")
	errLanded    = errors.New("the build was abandoned, or overtaken by a Replace")
	errAnonymous = errors.New("an instance needs a name; Open makes one without")
)

// Create builds an instance of a name that is free. configure gets a C already filled from the defaults; a nil one changes nothing.
// Before the factory's Start the instance is there once Spec.Create returned; after it, once Spec.Start did too.
//
// A name that has an instance, is being built, or is out gives ErrExists. If ctx ends, Create returns at once, and
// the build is cancelled unless a GetOrCreate has joined it.
func (f *Factory[T, C]) Create(ctx context.Context, name string, configure func(*C), opts ...CreateOption) (T, error) {
	return f.obtain(ctx, "create", name, configure, opts, false)
}

// GetOrCreate gives the instance of a name, and builds it if there is none. Callers that ask for one name at the same time get the same
// instance, built once, with the configure of the first; they join a Create that runs, too. If the build fails all of them get its error,
// nothing stays behind, and the next call tries again. A Low instance that is out is built at once, with its own configuration.
//
// A caller whose ctx ends leaves at once; the build is cancelled when no caller is left.
func (f *Factory[T, C]) GetOrCreate(ctx context.Context, name string, configure func(*C), opts ...CreateOption) (T, error) {
	if in := f.lookup(name); in != nil {
		return in.value, nil
	}
	return f.obtain(ctx, "get or create", name, configure, opts, true)
}

func (f *Factory[T, C]) obtain(ctx context.Context, op, name string, configure func(*C), opts []CreateOption, join bool) (T, error) {
	var none T
	fl, in, err := f.board(ctx, name, configure, opts, join)
	if err != nil {
		return none, f.fail(op, name, err)
	}
	if in == nil {
		if in, err = f.await(ctx, name, fl); err != nil {
			return none, f.failAt(op, name, err)
		}
	}
	return in.value, nil
}

// board finds the instance of a name, or joins its flight if join allows it, or starts one.
func (f *Factory[T, C]) board(ctx context.Context, name string, configure func(*C), opts []CreateOption, join bool) (*flight[T], *instance[T], error) {
	o, err := newCreateOptions(opts)
	if err != nil {
		return nil, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r := f.records[name]; {
	case f.phase >= phaseStopping:
		return nil, nil, f.stoppedError()
	case name == "":
		return nil, nil, errAnonymous
	case r != nil && !join:
		return nil, nil, ErrExists
	case r != nil && r.current != nil:
		return nil, r.current, nil
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case r != nil && r.flight != nil:
		r.flight.callers++
		return r.flight, nil, nil
	case r != nil:
		return f.launch(ctx, r, nil, false), nil, nil
	default:
		r = &record[T, C]{name: name, priority: o.priority}
		f.records[name] = r
		return f.launch(ctx, r, configure, false), nil, nil
	}
}

// launch starts a flight for a record that has no instance, with one caller. f.mu is held.
func (f *Factory[T, C]) launch(ctx context.Context, r *record[T, C], configure func(*C), patient bool) *flight[T] {
	fl := &flight[T]{callers: 1, done: make(chan struct{})}
	fl.ctx, fl.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	r.flight = fl
	end := f.work.begin("build", r.name)
	go func() {
		defer end()
		f.fly(r, fl, configure, patient)
	}()
	return fl
}

// await waits for a flight; a caller that gives up leaves it.
func (f *Factory[T, C]) await(ctx context.Context, name string, fl *flight[T]) (*instance[T], error) {
	select {
	case <-fl.done:
	case <-ctx.Done():
		if f.leave(name, fl) {
			return nil, context.Cause(ctx)
		}
	}
	return fl.in, fl.err
}

// leave takes a caller off a flight, and abandons it with the last. False: the flight has landed, and its outcome is the caller's.
func (f *Factory[T, C]) leave(name string, fl *flight[T]) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.settled {
		return false
	}
	if fl.callers--; fl.callers == 0 {
		f.settle(f.records[name], fl, nil, errAbandoned)
	}
	return true
}

// settle lands a flight: its callers get the outcome, the name is free again if it was built for the first time and failed, and
// whatever of the build still runs is on its own. f.mu is held, and fl is r's.
func (f *Factory[T, C]) settle(r *record[T, C], fl *flight[T], in *instance[T], err error) {
	fl.settled, fl.in, fl.err = true, in, err
	r.flight = nil
	switch {
	case r.current != nil:
	case r.out != nil:
		f.scheduleRetry(r)
	default:
		delete(f.records, r.name)
	}
	fl.cancel(err)
	close(fl.done)
}

// fly builds the instance.
func (f *Factory[T, C]) fly(r *record[T, C], fl *flight[T], configure func(*C), patient bool) {
	in, cfg, err := f.prepare(fl, r, configure, patient)
	if err == nil {
		err = f.admit(fl.ctx, in, patient, func() error {
			if fl.settled {
				return errLanded
			}
			f.arrive(r, in, cfg)
			return nil
		})
	}
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.unlock()
	if fl.settled {
		return
	}
	if r.out != nil {
		r.out = f.failAt("create", r.name, f.source.locate(r.name, err))
		f.noteOut(r)
	}
	f.settle(r, fl, nil, err)
}

func (f *Factory[T, C]) prepare(fl *flight[T], r *record[T, C], configure func(*C), patient bool) (*instance[T], C, error) {
	f.mu.Lock()
	cfg, configured := r.config, r.out != nil
	f.mu.Unlock()
	if !configured {
		var err error
		if cfg, err = f.configure(fl.ctx, nil, configure); err != nil {
			return nil, cfg, err
		}
	}
	in, err := f.construct(fl.ctx, r.name, r.priority, cfg, patient)
	return in, cfg, err
}

// arrive makes in the instance of a record that has none. f.mu is held.
func (f *Factory[T, C]) arrive(r *record[T, C], in *instance[T], cfg C) {
	r.current, r.config = in, cfg
	f.publish(in, nil)
	f.recovered(r)
	if fl := r.flight; fl != nil {
		f.settle(r, fl, in, nil)
	}
}

// admit runs publish with f.mu held, once in is as far as the factory is: after the factory's Start it is started first. If that
// or publish fails, in is destroyed.
func (f *Factory[T, C]) admit(ctx context.Context, in *instance[T], patient bool, publish func() error) error {
	checked := func() error {
		if f.phase >= phaseStopping {
			return f.stoppedError()
		}
		return publish()
	}
	f.mu.Lock()
	begun := f.phase != phaseNew
	var err error
	if !begun {
		err = checked()
	}
	f.unlock()
	if begun {
		if err = f.start(ctx, in, patient); err == nil {
			f.mu.Lock()
			err = checked()
			f.unlock()
		}
	}
	if err != nil {
		f.discard(in, err)
	}
	return err
}
