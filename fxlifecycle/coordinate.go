package fxlifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/stderrlog"
)

var errReused = errors.New("fxlifecycle: one Coordinate() value was given to two applications; call Coordinate for each fx.New")

// A CoordinatorOption changes how Coordinate works.
type CoordinatorOption interface {
	fmt.Stringer
	applyTo(*Coordinator) error
}

// WithStopBudget is how long stop may take where its context has no deadline, as in app.Stop(context.Background()). The default is 15 s.
// Where there is a deadline, as in app.Run, that counts: see fx.StopTimeout.
func WithStopBudget(d time.Duration) CoordinatorOption { return withStopBudget(d) }

type withStopBudget time.Duration

func (o withStopBudget) String() string {
	return fmt.Sprintf("fxlifecycle.WithStopBudget(%s)", time.Duration(o))
}

func (o withStopBudget) applyTo(c *Coordinator) error {
	if o <= 0 {
		return errors.New("the budget must be more than 0")
	}
	c.stopBudget = time.Duration(o)
	return nil
}

// Coordinate upgrades the whole application's lifecycle: see the package's documentation for what changes. Pass it to fx.New itself, once,
// anywhere among the options; inside fx.Module it fails fx.New. It provides *Coordinator and implies fx.RecoverFromPanics.
// It takes a *zap.Logger if the application has one, and the group "fxlifecycle.observers".
//
// Call it for each application: one value in two applications is an error.
func Coordinate(opts ...CoordinatorOption) fx.Option {
	c := newCoordinator()
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.applyTo(c); err != nil {
			return fx.Error(fmt.Errorf("fxlifecycle: %s: %w", o, err))
		}
	}
	return fx.Options(
		fx.RecoverFromPanics(), // a panic that escaped from a constructor would leave open what was built before
		fx.Decorate(c.decorate),
		fx.ErrorHook(closeAfterFailure{c}),
		fx.Provide(func() *Coordinator { return c }),
		fx.Invoke(c.equip),
	)
}

// decorate depends on nothing but the lifecycle: whatever else it took would be built before, with the undecorated one.
func (c *Coordinator) decorate(raw fx.Lifecycle) (fx.Lifecycle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken {
		c.stranger = true
		return nil, errReused
	}
	c.taken = true
	raw.Append(fx.Hook{OnStart: c.begin, OnStop: c.end})
	return &lifecycle{c: c, raw: raw, managed: managedHook()}, nil
}

type equipment struct {
	fx.In

	Lifecycle  fx.Lifecycle // so that an application without any hook has a coordinator as well
	Shutdowner fx.Shutdowner
	Logger     *zap.Logger `optional:"true"`
	Observers  []Observer  `group:"fxlifecycle.observers"`
}

// equip fetches what decorate must not take.
func (c *Coordinator) equip(in equipment) {
	c.logger.Store(stderrlog.Or(in.Logger))
	c.mu.Lock()
	c.shutdowner = in.Shutdowner
	c.mu.Unlock()
	c.attach(in.Observers)
}

// closeAfterFailure destroys what a failed fx.New had built. Fx itself does nothing then, and so does app.Stop.
type closeAfterFailure struct{ c *Coordinator }

func (h closeAfterFailure) HandleError(error) {
	c := h.c
	c.mu.Lock()
	// The failure may be another application's, to which this option value was given as well. The error does not tell: Fx wraps
	// it in one that errors.Is cannot see through.
	ours := c.taken && c.phase == Constructing && !c.stranger
	c.stranger = false
	c.mu.Unlock()
	if !ours {
		return
	}
	if err := c.Close(context.Background()); err != nil {
		c.log().Error("fxlifecycle: cleaning up after a failed fx.New", zap.Error(err))
	}
}

// shutdownApplication asks Fx to stop the application with exit code 1. Without a coordinator there is nobody to ask.
func (c *Coordinator) shutdownApplication() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock() // Fx does not guard the exit code
	if c.shutdowner == nil {
		return
	}
	if err := c.shutdowner.Shutdown(fx.ExitCode(1)); err != nil {
		c.log().Debug("fxlifecycle: the application had been told to shut down before", zap.Error(err))
	}
}
