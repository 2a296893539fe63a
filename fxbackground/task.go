package fxbackground

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/cancelkey"
	"github.com/fxkit/fxkit/internal/fxloc"
	"github.com/fxkit/fxkit/internal/guard"
)

// Task is a piece of background work. Its context has the values of the one it was submitted with, but neither its
// cancellation nor its deadline: it is cancelled when a drain runs out of time, and a task should then return.
type Task = func(ctx context.Context) error

// TaskInfo says which task it is and where it came from.
type TaskInfo struct {
	Name    string
	Group   string    // the name of its Group; "" for the Runner's own
	Caller  string    // file:line of the call that submitted it
	Started time.Time // zero while the task waits for a place; of a loop, when it last began
}

const notStarted time.Duration = -1

type taskState uint8

const (
	taskQueued taskState = iota
	taskRunning
	taskEnded
)

// A task is an accepted piece of work and, at the same time, the context it runs with: one allocation for both.
//
// It lives in the list of one shard, whose lock guards everything below the line.
type task struct {
	parent  context.Context // for its values only
	fn      Task
	name    string
	pc      uintptr // of the call that submitted it; resolved only when somebody asks
	group   *Group
	shard   *shard
	options *taskOptions // nil for a task without options
	loop    bool         // it is supervised: outside of limits and statistics

	// ---
	prev, next *task         // all accepted tasks of the shard
	behind     *task         // the next in its group's queue
	order      uint64        // of submission, in its shard
	started    time.Duration // since the Runner's epoch; notStarted before it has a place
	state      taskState
	abandoned  bool
}

var _ context.Context = (*task)(nil)

type taskKey struct{}

// A task has no deadline, whatever the context that it was submitted with had.
func (t *task) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done is closed when a drain of its Group or its Runner runs out of time.
func (t *task) Done() <-chan struct{} { return t.group.ctx.Done() }

func (t *task) Err() error { return t.group.ctx.Err() }

func (t *task) Value(key any) any {
	switch key {
	case taskKey{}:
		return t
	case cancelKey:
		// Were the parent asked, context.Cause would give the cancellation of a request that has ended.
		return t.group.ctx.Value(key)
	}
	return t.parent.Value(key)
}

// cancelKey is how package context asks a context for its cancellation. A task answers with its Group's, so that the
// contexts derived from it are cancelled without a goroutine each.
var cancelKey = cancelkey.Learn()

// valuesOf is what a new task keeps of ctx. It steps over a task's own context, so that a task that submits its own
// successor, which submits the next, does not grow a chain of contexts for ever.
func valuesOf(ctx context.Context) context.Context {
	for {
		switch c := ctx.(type) {
		case *task:
			ctx = c.parent
		case *tryContext:
			ctx = c.task
		default:
			return ctx
		}
	}
}

func (t *task) info() TaskInfo {
	info := TaskInfo{Name: t.name, Group: t.group.name, Caller: fxloc.Line(t.pc)}
	if t.started != notStarted {
		info.Started = t.group.runner.epoch.Add(t.started)
	}
	return info
}

// work runs t, and then whatever its end made room for.
func work(t *task) {
	for t != nil {
		t = t.perform()
	}
}

// perform runs t to its end, and returns the task that takes its place. Whatever the task does, and its OnDone,
// the task leaves: a panic is an error, and runtime.Goexit ends this goroutine but not the queue behind it.
func (t *task) perform() (next *task) {
	err, alive := guard.ErrGoexit, false
	defer func() {
		next = t.shard.leave(t, err)
		if !alive && next != nil {
			go work(next)
		}
	}()
	returned := false
	defer func() {
		// Reported before the task leaves: a drain that waits for it also waits for what it has to say.
		if err != nil || t.options != nil {
			t.report(err)
		}
		alive = returned
	}()
	if t.options == nil {
		err = guard.Call(func() error { return t.fn(t) })
	} else {
		err = guard.Call(func() error { return t.options.run(t) })
	}
	returned = true
	return nil
}

func (t *task) report(err error) {
	r := t.group.runner
	if err != nil {
		r.log.Error("fxbackground: task failed", append(t.fields(), zap.Error(err))...)
	}
	if t.options != nil {
		t.done(t.options.onDone, err)
	}
}

// done calls the task's OnDone functions: each, whatever those before it do.
func (t *task) done(onDone []func(TaskInfo, error), err error) {
	if len(onDone) == 0 {
		return
	}
	defer t.done(onDone[1:], err) // also on runtime.Goexit
	if panicked := guard.Call(func() error { onDone[0](t.info(), err); return nil }); panicked != nil {
		t.group.runner.log.Error("fxbackground: OnDone panicked", append(t.fields(), zap.Error(panicked))...)
	}
}

func (t *task) fields() []zap.Field {
	r := t.group.runner
	fields := []zap.Field{zap.String("task", t.name)}
	if t.group.name != "" {
		fields = append(fields, zap.String("group", t.group.name))
	}
	// Not "caller": that is where zap itself puts the line of the log call.
	return append(fields, zap.String("submittedBy", fxloc.Line(t.pc)), zap.Duration("duration", r.clock()-t.started))
}
