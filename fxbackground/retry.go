package fxbackground

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/guard"
)

// A TaskOption is for [Runner.Run] and [Group.Run].
type TaskOption func(*taskOptions)

type taskOptions struct {
	policy   func() backoff.BackOff
	maxTries uint
	timeout  time.Duration
	onDone   []func(TaskInfo, error)
	errs     []error
}

// WithRetry runs a task that fails, or panics, again: after the waits of a policy made for this task, maxTries times in
// all (0: as often as the policy says). backoff.Permanent and backoff.RetryAfter mean what they mean in that package,
// but there is no bound on the time that it takes: only a drain that runs out of time ends the waiting.
//
// The task keeps its place while it waits. It fails, is logged and counted, once: with the error of its last try.
func WithRetry(policy func() backoff.BackOff, maxTries uint) TaskOption {
	return func(o *taskOptions) {
		if policy == nil {
			o.errs = append(o.errs, errors.New("WithRetry: the policy is nil"))
		}
		o.policy, o.maxTries = policy, maxTries
	}
}

// WithTimeout ends the context of one try of the task after d.
func WithTimeout(d time.Duration) TaskOption {
	return func(o *taskOptions) {
		if d <= 0 {
			o.errs = append(o.errs, fmt.Errorf("WithTimeout: %v is not a positive duration", d))
		}
		o.timeout = d
	}
}

// OnDone calls fn when the task has ended, with its error or nil, before any drain that waits for the task goes on. For an
// accepted task fn is called exactly once; one that a drain took out of the queue ends with an error that is ErrDraining.
func OnDone(fn func(TaskInfo, error)) TaskOption {
	return func(o *taskOptions) {
		if fn == nil {
			o.errs = append(o.errs, errors.New("OnDone: the function is nil"))
		}
		o.onDone = append(o.onDone, fn)
	}
}

func newTaskOptions(opts []TaskOption) (*taskOptions, error) {
	o := new(taskOptions)
	for _, opt := range opts {
		opt(o)
	}
	return o, errors.Join(o.errs...)
}

// run is the whole of a task with options, its tries and the waiting between them.
func (o *taskOptions) run(t *task) error {
	if o.policy == nil {
		return o.try(t)
	}
	policy := o.policy()
	if policy == nil {
		return errors.New("fxbackground: WithRetry: the policy function returned nil")
	}
	var last error
	_, err := backoff.Retry(t,
		func() (struct{}, error) {
			last = guard.Call(func() error { return o.try(t) })
			return struct{}{}, last
		},
		backoff.WithBackOff(policy),
		backoff.WithMaxTries(o.maxTries),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			t.group.runner.log.Debug("fxbackground: task will be tried again", append(t.fields(), zap.Error(err), zap.Duration("wait", wait))...)
		}),
	)
	if err != nil && last != nil && errors.Is(err, context.Cause(t)) && !errors.Is(last, err) {
		// The drain ended the waiting, and backoff keeps only that. What the task failed with matters more.
		return fmt.Errorf("%w (%w)", last, err)
	}
	return err
}

func (o *taskOptions) try(t *task) error {
	if o.timeout == 0 {
		return t.fn(t)
	}
	ctx, cancel := context.WithTimeout(t, o.timeout)
	defer cancel()
	return t.fn(&tryContext{Context: ctx, task: t})
}

// A tryContext is the context of one try, which knows its task: see valuesOf.
type tryContext struct {
	context.Context
	task *task
}
