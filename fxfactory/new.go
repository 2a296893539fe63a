package fxfactory

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// New builds a factory and its configured instances, without Fx and without YAML. name stands for the section in errors and logs.
//
// Instances of priority High are created first, then Medium, then Low, and those of one priority concurrently. If one
// of High or Medium fails, or ctx ends, New destroys what there is and returns nil and an error that names every failure; a
// Low one that fails is logged and left out. Start starts the instances, Stop destroys them.
func New[T, C any](ctx context.Context, name string, spec Spec[T, C], cfg Settings[C], opts ...Option) (*Factory[T, C], error) {
	o, err := newOptions(opts)
	if err == nil && (o.withoutDefault || len(o.keys) > 0) {
		err = errors.New("WithoutDefault and Keys are options of Module")
	}
	if err != nil {
		return nil, &opError{op: "new", section: name, whole: true, err: err}
	}
	src, plan := fromSettings(spec, cfg)
	return build(ctx, name, spec, o, src, plan)
}

// build makes a factory and creates what plan says.
func build[T, C any](ctx context.Context, name string, spec Spec[T, C], o options, src source[C], planner planner[T, C]) (*Factory[T, C], error) {
	f := newFactory(name, spec, o, src)
	if spec.Create == nil {
		return nil, f.failWhole("new", errors.New("Spec.Create is nil"))
	}
	p, err := planner(ctx, f)
	if err != nil {
		return nil, f.failWhole("configure", err)
	}
	f.defaultName = p.defaultName
	if err := f.createAll(ctx, p.instances); err != nil {
		return nil, errors.Join(err, f.rollback(ctx, err))
	}
	f.mu.Lock()
	defer f.unlock()
	f.publishAll()
	return f, nil
}

// createAll creates the planned instances, High before Medium before Low, and stops after the first priority in which one fails that
// must not.
func (f *Factory[T, C]) createAll(ctx context.Context, all []planned[C]) error {
	for _, priority := range startOrder {
		var group []*record[T, C]
		for _, p := range all {
			if p.priority == priority {
				group = append(group, &record[T, C]{name: p.name, priority: p.priority, config: p.config})
			}
		}
		each(group, f.options.concurrency, func(r *record[T, C]) {
			if ctx.Err() != nil {
				return
			}
			in, err := f.construct(ctx, r.name, r.priority, r.config, false)
			if err != nil {
				r.out = f.failAt("create", r.name, f.source.locate(r.name, err))
			} else {
				r.current = in
			}
		})
		var errs []error
		for _, r := range group {
			if r.current != nil || priority == Low && r.out != nil {
				f.records[r.name] = r
			}
			if r.out != nil {
				errs = append(errs, r.out)
			}
		}
		switch {
		case ctx.Err() != nil:
			return errors.Join(append(errs, f.failWhole("create", context.Cause(ctx)))...)
		case priority == Low:
			for _, r := range group {
				if r.out != nil {
					f.noteOut(r)
				}
			}
		case len(errs) > 0:
			return errors.Join(errs...)
		}
	}
	return nil
}

// noteOut logs that an instance is out. f.mu is held.
func (f *Factory[T, C]) noteOut(r *record[T, C]) {
	name, err := r.name, r.out
	f.note(func() { f.log.Warn("an instance of priority Low is out", zap.String("instance", name), zap.Error(err)) })
}

// grace is how long a failed startup whose context has ended waits for user code that is just returning.
const grace = 100 * time.Millisecond

// rollback destroys whatever a failed startup has made, within a budget of its own, and returns the errors of that when it is done. It
// does not wait for user code that ignores its ended context, beyond a short grace: what that yields is destroyed when it comes.
func (f *Factory[T, C]) rollback(ctx context.Context, cause error) error {
	settled := make(chan struct{})
	timer := time.AfterFunc(grace, func() { close(settled) })
	f.work.wait(settled)
	timer.Stop()
	f.mu.Lock()
	if f.phase >= phaseStopping {
		f.mu.Unlock()
		return nil // Stop was first, and cleans up
	}
	f.startErr = cause
	all := f.close()
	f.mu.Unlock()
	var settledOnes []*instance[T]
	for _, in := range all {
		if in.busy() {
			end := f.work.begin("destroy", in.name)
			go func() {
				defer end()
				f.discard(in, cause)
			}()
		} else {
			settledOnes = append(settledOnes, in)
		}
	}
	budget, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupBudget)
	defer cancel()
	f.teardown(budget, settledOnes)
	go f.finishStop()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.takeStopErrors()
}
