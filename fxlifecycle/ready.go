package fxlifecycle

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/guard"
)

// OnReady has fn run once every OnStart hook has succeeded, in the order of the calls, before Ready is closed. An error or a panic of
// fn fails start, and it has as long as a start hook. Called when the application is ready, it runs fn at once and returns after it; there is
// no start to fail then, so the error is logged. After stop has begun fn does not run.
func (c *Coordinator) OnReady(fn func(context.Context) error) {
	pc := callerPC()
	if fn == nil {
		return
	}
	e := &entry{c: c, pc: pc, foreign: true, object: funcName(fn), hooks: Hooks{Init: fn}}
	c.mu.Lock()
	phase := c.phase
	if phase == Constructing || phase == Starting {
		c.readiness = append(c.readiness, e)
	}
	c.mu.Unlock()

	switch phase {
	case Running:
		c.runLate(e)
	case Stopping, Stopped:
		c.log().Warn("fxlifecycle: an OnReady function was not run: the application is "+phase.String(),
			zap.String("function", e.object), zap.String("caller", e.caller()))
	}
}

func (c *Coordinator) runLate(e *entry) {
	r := e.newRecord(onReady)
	r.begin()
	err := guard.Call(func() error { return e.hooks.Init(context.Background()) })
	r.end(err)
	if err != nil {
		c.log().Error("fxlifecycle: an OnReady function failed after start was over",
			zap.String("function", e.object), zap.String("caller", e.caller()), zap.Error(err))
	}
}

// becomeReady runs the OnReady functions, also those that they register, and opens Ready.
func (c *Coordinator) becomeReady(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.phase != Starting {
			c.mu.Unlock()
			return fmt.Errorf("fxlifecycle: start: %w", errStopBegan)
		}
		if ctx.Err() != nil {
			// Fx reports this start as failed and stops nothing; what it returns here is for the log alone.
			c.mu.Unlock()
			return fmt.Errorf("fxlifecycle: start: its context ended before the application was ready: %w", context.Cause(ctx))
		}
		if len(c.readiness) == 0 {
			c.phase = Running
			c.unwatch()
			close(c.ready)
			c.mu.Unlock()
			return nil
		}
		e := c.readiness[0]
		c.readiness = c.readiness[1:]
		c.mu.Unlock()
		if err := c.runStart(e, onReady, e.hooks.Init); err != nil {
			return err
		}
	}
}

func funcName(fn any) string {
	f := runtime.FuncForPC(reflect.ValueOf(fn).Pointer())
	if f == nil {
		return "func"
	}
	return strings.TrimSuffix(f.Name(), "-fm")
}
