package fxlifecycle

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/fxloc"
	"github.com/fxkit/fxkit/internal/guard"
	"github.com/fxkit/fxkit/internal/phase"
	"github.com/fxkit/fxkit/internal/stderrlog"
)

// The names of hooks, in errors, logs and the journal.
const (
	postConstruct = "PostConstruct"
	preInject     = "PreInject"
	postInject    = "PostInject"
	initialize    = "Init"
	preDestroy    = "PreDestroy"
	destroy       = "Destroy"
	onStart       = "OnStart"
	onStop        = "OnStop"
	onReady       = "OnReady"
)

// An entry is one thing with hooks: an object given to Manage, or a foreign fx.Hook, whose OnStart and OnStop
// then stand in hooks as Init and Destroy.
type entry struct {
	c       *Coordinator // nil without one
	object  string
	pc      uintptr // who appended it, resolved only where it is shown
	claim   time.Duration
	first   bool // its PreDestroy is before others'
	hooks   Hooks
	foreign bool
	hook    fx.Hook // of a foreign entry, for the names inside
	index   int     // among the coordinator's entries, which are in Fx's order
}

func newEntry(obj any, pc uintptr) *entry {
	return &entry{object: typeName(obj), pc: pc, hooks: hooksOf(obj)}
}

func typeName(obj any) string {
	if obj == nil {
		return "nil"
	}
	return reflect.TypeOf(obj).String()
}

// callerPC is the caller of the function that calls it.
func callerPC() uintptr {
	var pc [1]uintptr
	runtime.Callers(3, pc[:])
	return pc[0]
}

func (e *entry) caller() string { return fxloc.Frame(e.pc) }

// startName and stopName are what the entry's hooks in these moments are called.
func (e *entry) startName() string {
	if e.foreign {
		return onStart
	}
	return initialize
}

func (e *entry) stopName() string {
	if e.foreign {
		return onStop
	}
	return destroy
}

// construct runs the construction hooks, with inject between PreInject and PostInject. After a failure, also
// runtime.Goexit, it destroys the object.
func (e *entry) construct(inject func()) (err error) {
	failed := true
	defer func() {
		if failed {
			err = errors.Join(err, e.abandon())
		}
	}()
	if err := e.callNow(postConstruct, e.hooks.PostConstruct); err != nil {
		return err
	}
	if err := e.callNow(preInject, e.hooks.PreInject); err != nil {
		return err
	}
	if inject != nil {
		inject()
	}
	if err := e.callNow(postInject, e.hooks.PostInject); err != nil {
		return err
	}
	failed = false
	return nil
}

// callNow runs a construction hook in the constructor's goroutine. Fx bounds constructors by nothing, nor is there a context to inherit.
func (e *entry) callNow(hook string, fn func(context.Context) error) error {
	if fn == nil {
		return nil
	}
	fn = e.newRecord(hook).around(fn)
	return e.wrap(hook, guard.Call(func() error { return fn(context.Background()) }))
}

// abandon destroys an object that its constructor does not hand out.
func (e *entry) abandon() error {
	ctx := context.Background()
	budget := phase.BudgetOf(ctx, phase.Default)
	if e.c != nil {
		budget = phase.BudgetOf(ctx, e.c.stopBudget)
	}
	return e.runStop(ctx, destroy, e.hooks.Destroy, time.Until(budget.End))
}

// runStop runs a hook of stop within its share.
func (e *entry) runStop(ctx context.Context, hook string, fn func(context.Context) error, share time.Duration) error {
	if fn == nil {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ctx.Err() != nil || ok && time.Until(deadline) < share {
		// Nobody waits for this stop any more, or not long enough for the smallest share. What it still has to close deserves
		// a context that works, and gets no more time than before.
		ctx = context.WithoutCancel(ctx)
	}
	r := e.newRecord(hook)
	err := phase.Run(ctx, share, r.around(fn), func(err error, ran time.Duration) { e.returnedLate(hook, err, ran) })
	r.endWithout(err)
	return e.failedStop(hook, err)
}

func (e *entry) failedStop(hook string, err error) error {
	if err == nil {
		return nil
	}
	var behind *phase.LeftBehind
	if errors.As(err, &behind) {
		e.log().Error("fxlifecycle: a hook was left behind: it still runs although its context has ended",
			zap.String("hook", hook), zap.String("object", e.objectOf(hook)), zap.String("caller", e.caller()), zap.Duration("after", behind.After))
		return fmt.Errorf("fxlifecycle: %s %q of %s: %w", hook, e.objectOf(hook), e.caller(), err)
	}
	return e.wrap(hook, err)
}

// returnedLate logs the end of a hook that had been left behind.
func (e *entry) returnedLate(hook string, err error, ran time.Duration) {
	e.log().Warn("fxlifecycle: a hook that was left behind has returned",
		zap.String("hook", hook), zap.String("object", e.objectOf(hook)), zap.Duration("ran", ran), zap.Error(err))
}

func (e *entry) wrap(hook string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("fxlifecycle: %s %q: %w", hook, e.objectOf(hook), err)
}

func (e *entry) log() *zap.Logger {
	if e.c != nil {
		return e.c.log()
	}
	return stderrlog.Or(nil)
}
