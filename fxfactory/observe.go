package fxfactory

import (
	"context"
	"sync/atomic"
)

// Observed is what every Factory tells about itself, whatever its types. Module provides it in group:"fxfactory.factories", for
// pages, probes and metrics that know no client's type.
type Observed interface {
	Name() string
	DefaultName() string
	Names() []string
	Priority(name string) Priority
	Describe(name string) (config any, origin string, err error)
	Check(ctx context.Context) []Health
	Stats() Stats
}

var _ Observed = (*Factory[any, any])(nil)

// Stats are a factory's numbers at the moment, and its counters since it was made.
type Stats struct {
	Instances int // that Get can give
	Out       int // of priority Low that failed and are retried
	Building  int // builds by name that run
	Opened    int // of Open, not closed yet
	Retiring  int // replaced, still in their grace

	Created, CreateFailed    uint64
	Started, StartFailed     uint64 // 0 without a Spec.Start
	Destroyed, DestroyFailed uint64 // each instance counts once
}

// Stats counts under the factory's lock, in time proportional to the number of instances.
func (f *Factory[T, C]) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.counters.read()
	s.Instances, s.Opened, s.Retiring = f.live, len(f.anonymous), len(f.retiring)
	for _, r := range f.records {
		if r.out != nil {
			s.Out++
		}
		if r.flight != nil {
			s.Building++
		}
	}
	return s
}

// Describe is Config for who does not know C, and where the configuration of the instance stands: "config.yaml:5:5", or nothing for
// one that code made. Secrets in it are of type fxconfig.Secret, which prints as "[redacted]".
func (f *Factory[T, C]) Describe(name string) (config any, origin string, err error) {
	cfg, err := f.Config(name)
	if err != nil {
		return nil, "", err
	}
	return cfg, f.source.position(name), nil
}

// counters count what the functions of a Spec did.
type counters struct{ create, start, destroy outcome }

type outcome struct{ succeeded, failed atomic.Uint64 }

// of counts what fn, which is code of the user's, comes to; a panic and runtime.Goexit are failures.
func (o *outcome) of(fn func() error) error {
	count := &o.failed
	defer func() { count.Add(1) }()
	err := fn()
	if err == nil {
		count = &o.succeeded
	}
	return err
}

func (c *counters) read() Stats {
	return Stats{
		Created: c.create.succeeded.Load(), CreateFailed: c.create.failed.Load(),
		Started: c.start.succeeded.Load(), StartFailed: c.start.failed.Load(),
		Destroyed: c.destroy.succeeded.Load(), DestroyFailed: c.destroy.failed.Load(),
	}
}
