package fxlifecycle_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// steps notes what happened, in order.
type steps struct {
	mu  sync.Mutex
	all []string
}

func (s *steps) add(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, step)
}

func (s *steps) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func (s *steps) count(step string) (n int) {
	for _, one := range s.list() {
		if one == step {
			n++
		}
	}
	return n
}

// object has all six hooks. Each notes its step, and does what is in do, if anything.
type object struct {
	name  string
	steps *steps
	do    map[string]func(context.Context) error
}

func (o *object) run(ctx context.Context, hook string) error {
	o.steps.add(o.name + "." + hook)
	if do := o.do[hook]; do != nil {
		return do(ctx)
	}
	return nil
}

func (o *object) PostConstruct(ctx context.Context) error { return o.run(ctx, "PostConstruct") }
func (o *object) PreInject(ctx context.Context) error     { return o.run(ctx, "PreInject") }
func (o *object) PostInject(ctx context.Context) error    { return o.run(ctx, "PostInject") }
func (o *object) Init(ctx context.Context) error          { return o.run(ctx, "Init") }
func (o *object) PreDestroy(ctx context.Context) error    { return o.run(ctx, "PreDestroy") }
func (o *object) Destroy(ctx context.Context) error       { return o.run(ctx, "Destroy") }

func hookOf(s *steps, name string) fx.Hook {
	return fx.Hook{
		OnStart: func(context.Context) error { s.add(name + ".OnStart"); return nil },
		OnStop:  func(context.Context) error { s.add(name + ".OnStop"); return nil },
	}
}
