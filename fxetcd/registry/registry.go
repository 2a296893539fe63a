package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/internal/backoff"
	"github.com/fxkit/fxkit/internal/stderrlog"
)

// ErrStopped is what a Registry answers after Stop.
var ErrStopped = errors.New("the registry is stopped")

// ErrTaken is why an instance is Pending whose key another process has put meanwhile: somebody registered the same service and id.
var ErrTaken = errors.New("another process has registered the same id")

// Registry registers this process's instances of services, and finds those of all.
type Registry struct {
	client *clientv3.Client
	cfg    Config
	log    *zap.Logger

	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup

	mu            sync.Mutex
	stopped       bool // nothing is registered any more
	closed        bool // and nothing is looked up
	keepers       map[time.Duration]*keeper
	registrations map[string]*Registration // by key
	sentries      map[string]*sentry       // by the prefix that they watch
	services      map[string]*service
}

// Option changes a Registry.
type Option interface{ apply(*Registry) }

type optionFunc func(*Registry)

func (f optionFunc) apply(r *Registry) { f(r) }

// WithLogger is where a registry tells what it cannot return to anybody: a lease that was lost, a malformed instance. The default is
// standard error, warnings and errors only.
func WithLogger(log *zap.Logger) Option {
	return optionFunc(func(r *Registry) {
		if log != nil {
			r.log = log
		}
	})
}

// New makes a registry that works with the client until Stop. It does no I/O.
func New(client *clientv3.Client, cfg Config, opts ...Option) (*Registry, error) {
	if client == nil {
		return nil, errors.New("registry: the etcd client is nil")
	}
	if err := fxconfig.Validate(cfg); err != nil {
		return nil, fmt.Errorf("registry: configuration: %w", err)
	}
	cfg.fillDefaults()
	cfg.Services = slices.Clone(cfg.Services)
	r := &Registry{
		client: client, cfg: cfg, log: stderrlog.Or(nil),
		keepers: map[time.Duration]*keeper{}, registrations: map[string]*Registration{}, sentries: map[string]*sentry{}, services: map[string]*service{},
	}
	for _, o := range opts {
		if o != nil {
			o.apply(r)
		}
	}
	r.log = r.log.Named("registry")
	r.life, r.end = context.WithCancel(client.Ctx())
	return r, nil
}

// Leave takes this process's instances off the list, all at once, and waits for the drainDelay if any may have been there. Nothing can be registered
// after it; looking up goes on. A second Leave does what is left to do. If ctx ends before etcd has answered, the instances stay for
// their TTL at most.
func (r *Registry) Leave(ctx context.Context) error {
	listed, err := r.withdraw(ctx)
	if listed && r.cfg.DrainDelay > 0 && !backoff.Wait(ctx, r.cfg.DrainDelay) {
		r.log.Warn("the drainDelay is cut short: the time to stop is over", zap.Duration("drainDelay", r.cfg.DrainDelay))
	}
	return err
}

// withdraw deregisters all instances, and tells whether any may have been listed until then.
func (r *Registry) withdraw(ctx context.Context) (listed bool, err error) {
	r.mu.Lock()
	r.stopped = true
	var all []*Registration
	for _, g := range r.registrations {
		listed = listed || g.have || len(g.leases) > 0
		if g.want != gone {
			g.set(gone)
		}
		all = append(all, g)
	}
	r.mu.Unlock()
	var problems []error
	for _, g := range all {
		if err := g.settled(ctx, gone); err != nil {
			problems = append(problems, g.failed("deregister", fmt.Errorf("%w; it stays listed for %v at most", err, g.keeper.ttl)))
		}
	}
	return listed, errors.Join(problems...)
}

// Stop ends everything that the registry does. If Leave was not called before, that is how it begins; else it takes off the list what Leave
// could not, for two seconds at most, and does not wait for the drainDelay again. After Stop there is nothing left to do.
func (r *Registry) Stop(ctx context.Context) error {
	r.mu.Lock()
	left, closed := r.stopped, r.closed
	r.mu.Unlock()
	var err error
	switch {
	case closed:
	case left:
		err = r.finishLeaving(ctx)
	default:
		err = r.Leave(ctx)
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.work.Wait()
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("registry: stop: %w", context.Cause(ctx)))
	}
}

func (r *Registry) finishLeaving(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := r.withdraw(ctx)
	return err
}

// start runs fn until the registry stops. r.mu is held, and the registry is not closed.
func (r *Registry) start(fn func(ctx context.Context)) context.CancelFunc {
	ctx, cancel := context.WithCancel(r.life)
	r.work.Go(func() {
		defer cancel()
		fn(ctx)
	})
	return cancel
}
