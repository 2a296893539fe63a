package fxfactory

import (
	"context"
	"time"
)

// Replace builds a new instance of a name, with its present configuration changed by configure, and if that succeeds swaps it in at
// once: a lookup gives the old instance or the new one, never none. The old one is destroyed after RetireAfter, or in Stop.
// If the build fails the old one stays.
//
// What Fx injected stays the old instance: a program that calls Replace injects the Factory, and asks it each time.
// A name that has no instance, and none that is out, gives ErrNotFound; so does one that was removed meanwhile.
func (f *Factory[T, C]) Replace(ctx context.Context, name string, configure func(*C)) (T, error) {
	in, err := f.replace(ctx, name, configure)
	if err != nil {
		var none T
		return none, f.failAt("replace", name, err)
	}
	return in.value, nil
}

func (f *Factory[T, C]) replace(ctx context.Context, name string, configure func(*C)) (*instance[T], error) {
	f.mu.Lock()
	r := f.records[name]
	if f.phase >= phaseStopping || r == nil || r.current == nil && r.out == nil {
		defer f.mu.Unlock()
		return nil, f.why(name)
	}
	from, priority := r.config, r.priority
	defer f.work.begin("replace", name)()
	f.mu.Unlock()

	return f.make(ctx, name, priority, &from, configure, func(in *instance[T], cfg C) error {
		if f.records[name] != r {
			return f.why(name)
		}
		if r.current == nil {
			f.arrive(r, in, cfg)
			return nil
		}
		old := r.current
		r.current, r.config = in, cfg
		f.publish(in, old)
		f.retire(old)
		return nil
	})
}

// make builds an instance for one caller: when ctx ends it returns at once. publish runs with f.mu held.
func (f *Factory[T, C]) make(ctx context.Context, name string, p Priority, from *C, configure func(*C), publish func(*instance[T], C) error) (*instance[T], error) {
	ctx, release := f.until(ctx)
	defer release()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	cfg, err := f.configure(ctx, from, configure)
	if err != nil {
		return nil, err
	}
	in, err := f.construct(ctx, name, p, cfg, false)
	if err == nil {
		err = f.admit(ctx, in, false, func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return publish(in, cfg)
		})
	}
	if err != nil && f.stopping.Err() != nil {
		err = ErrStopped // rather than what Create made of its cancelled context
	}
	return in, err
}

// retire destroys an instance that was replaced, when its grace is over. f.mu is held.
func (f *Factory[T, C]) retire(in *instance[T]) {
	in.advance(retiring)
	f.retiring[in] = time.AfterFunc(f.options.retireAfter, func() {
		f.mu.Lock()
		delete(f.retiring, in)
		defer f.work.begin("destroy", in.name)()
		f.mu.Unlock()
		f.discard(in, ErrNotFound)
	})
}

// Remove destroys the instance of a name at once and frees the name. It waits for Spec.Destroy, and returns its error, or returns when ctx
// ends. For a Low instance that is out it ends the retries. A name without an instance gives ErrNotFound.
func (f *Factory[T, C]) Remove(ctx context.Context, name string) error {
	f.mu.Lock()
	r := f.records[name]
	if f.phase >= phaseStopping || r == nil || r.current == nil && r.out == nil {
		defer f.mu.Unlock()
		return f.fail("remove", name, f.why(name))
	}
	delete(f.records, name)
	f.endRetries(r)
	if r.flight != nil {
		f.settle(r, r.flight, nil, &missingError{name: name, known: f.known()})
	}
	in := r.current
	if in == nil {
		f.mu.Unlock()
		return nil
	}
	f.unpublish(in)
	defer f.work.begin("remove", name)()
	f.mu.Unlock()
	if err := f.destroy(ctx, in, ErrNotFound); err != nil {
		return f.failAt("remove", name, err)
	}
	return nil
}

// Open builds an instance that has no name and no lookup gives. Its close destroys it, and so does Stop at the latest; closing again does
// nothing and returns nil. configure is as for Create.
func (f *Factory[T, C]) Open(ctx context.Context, configure func(*C)) (T, func(context.Context) error, error) {
	var none T
	f.mu.Lock()
	if f.phase >= phaseStopping {
		defer f.mu.Unlock()
		return none, nil, f.failWhole("open", f.stoppedError())
	}
	defer f.work.begin("open", "")()
	f.mu.Unlock()
	in, err := f.make(ctx, "", Medium, nil, configure, func(in *instance[T], _ C) error {
		f.anonymous[in] = struct{}{}
		return nil
	})
	if err != nil {
		return none, nil, f.failWhole("open", err)
	}
	return in.value, f.closer(in), nil
}

func (f *Factory[T, C]) closer(in *instance[T]) func(context.Context) error {
	return func(ctx context.Context) error {
		f.mu.Lock()
		delete(f.anonymous, in)
		defer f.work.begin("close", "")()
		f.mu.Unlock()
		if err := f.destroy(ctx, in, ErrNotFound); err != nil {
			return f.failWhole("close", err)
		}
		return nil
	}
}
