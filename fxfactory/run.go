package fxfactory

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/guard"
)

// cleanupBudget is what destroying may take where no caller gives it a context: after a failed startup, for what came too late, for
// what was replaced.
const cleanupBudget = 15 * time.Second

// attemptTimeout bounds what no caller's context does: the attempt to bring back an instance that is out.
const attemptTimeout = 15 * time.Second

// construct calls Spec.Create. It returns when Create does or when ctx ends; what Create yields after that is destroyed. If patient, only
// Create's own context has a time limit, and construct waits for Create however long it takes.
func (f *Factory[T, C]) construct(ctx context.Context, name string, p Priority, cfg C, patient bool) (*instance[T], error) {
	forUser, cancel := f.createContext(ctx, patient)
	if d := f.options.createTimeout; d > 0 && !patient {
		// A tenth more than Create itself has, so that one that honours its context can still say what it was waiting for.
		var release context.CancelFunc
		ctx, release = context.WithTimeoutCause(ctx, d+d/10, tookTooLong(d))
		defer release()
	}
	in := &instance[T]{name: name, priority: p}
	done := f.work.begin("create", name)
	err := guard.Within(ctx, func() error {
		ok := false
		defer func() {
			cancel()
			if !ok {
				done() // else whoever gets the instance ends the work
			}
		}()
		err := f.counters.create.of(func() (err error) {
			in.value, err = f.spec.Create(forUser, name, f.clone(cfg))
			if err == nil && isNil(in.value) {
				err = errors.New("Create returned nil and no error")
			}
			return err
		})
		ok = err == nil
		return err
	}, func(err error) {
		if err == nil {
			f.discard(in, errors.New("created too late"))
			done()
		}
	})
	if err != nil {
		return nil, err
	}
	done()
	return in, nil
}

func (f *Factory[T, C]) createContext(ctx context.Context, patient bool) (context.Context, context.CancelFunc) {
	d := f.options.createTimeout
	if d == 0 && patient {
		d = attemptTimeout
	}
	ctx, release := early(ctx)
	if d == 0 {
		return ctx, release
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d, tookTooLong(d))
	return ctx, func() {
		cancel()
		release()
	}
}

func tookTooLong(d time.Duration) error {
	return fmt.Errorf("took longer than %v (CreateTimeout): %w", d, context.DeadlineExceeded)
}

// isNil says whether an instance is a nil pointer, a nil interface, or an interface that holds a nil pointer.
func isNil[T any](value T) bool {
	v := reflect.ValueOf(&value).Elem()
	for v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	return (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) && v.IsNil()
}

// errGone is what start gives for an instance that is being destroyed.
var errGone = errors.New("the instance is being destroyed")

// start calls Spec.Start. It returns when Start does, when ctx ends, or when the instance is to be destroyed. If patient, Start's own
// context has a time limit.
func (f *Factory[T, C]) start(ctx context.Context, in *instance[T], patient bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f.spec.Start == nil {
		in.advance(ready)
		return nil
	}
	u := in.begin(ctx, starting)
	if u == nil {
		return errGone
	}
	defer in.leave(u)
	forUser, release := early(u.ctx)
	if patient {
		release()
		forUser, release = context.WithTimeout(u.ctx, attemptTimeout)
	}
	done := f.work.begin("start", in.name)
	err := guard.Within(u.ctx, func() error {
		defer done()
		defer in.end(u)
		defer release()
		return f.counters.start.of(func() error { return f.spec.Start(forUser, in.name, in.value) })
	}, nil)
	if err == nil {
		in.advance(ready)
	}
	return err
}

// destroy claims the instance for destruction with cause and calls Spec.Destroy, after a Start and Checks that still run on it have
// returned. It returns when that is done, or when ctx ends; in the second case the rest goes on with a budget of its own. If somebody else
// destroys the instance already, it waits for that.
func (f *Factory[T, C]) destroy(ctx context.Context, in *instance[T], cause error) error {
	idle, gone, mine := in.claim(cause)
	if !mine {
		select {
		case <-gone:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	done := f.work.begin("destroy", in.name)
	err := guard.Within(ctx, func() error {
		defer done()
		defer in.finish()
		if idle != nil {
			<-idle
		}
		if f.spec.Destroy == nil {
			return f.counters.destroy.of(func() error { return nil })
		}
		forUser, release := early(ctx)
		if ctx.Err() != nil {
			release()
			forUser, release = context.WithTimeout(context.WithoutCancel(ctx), cleanupBudget)
		}
		defer release()
		return f.counters.destroy.of(func() error { return f.spec.Destroy(forUser, in.value) })
	}, func(err error) {
		if err != nil {
			f.log.Error("destroy failed after its caller had left", zap.String("instance", in.name), zap.Error(err))
		}
	})
	return err
}

// discard destroys an instance that nobody waits for.
func (f *Factory[T, C]) discard(in *instance[T], cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupBudget)
	defer cancel()
	if err := f.destroy(ctx, in, cause); err != nil {
		f.log.Error("destroy failed", zap.String("instance", in.name), zap.Error(err))
	}
}

// early gives the user's code a context that ends a little before ctx does, a twentieth of the time and at most 250 ms, so that code that
// honours it can still say what it was waiting for.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/20, 250*time.Millisecond)))
}

// until gives a context that ends with ctx and when the factory stops.
func (f *Factory[T, C]) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	release := context.AfterFunc(f.stopping, func() { cancel(ErrStopped) })
	return ctx, func() {
		release()
		cancel(nil)
	}
}
