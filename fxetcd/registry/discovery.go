package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/watch"
	"github.com/fxkit/fxkit/internal/backoff"
)

// staleAfter is for how long a watch may be silent that is asked every three seconds whether it is still there.
const staleAfter = 8 * time.Second

// service is what is known of one service: one watch, begun when somebody first asks, that all who ask share.
type service struct {
	name, prefix string
	log          *zap.Logger
	picks        atomic.Uint64

	mu      sync.Mutex
	cache   *watch.Cache[Instance] // nil until the first list is in
	refused error                  // why there is none
	changed chan struct{}          // closed when one of the above changes
	stale   bool                   // as far as the log knows
}

// service begins to watch, if nobody has yet.
func (r *Registry) service(name string) (*service, error) {
	if err := checkName("service", name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.life.Err() != nil {
		return nil, ErrStopped
	}
	s := r.services[name]
	if s == nil {
		s = &service{
			name: name, prefix: servicePrefix(r.cfg.Namespace, name), changed: make(chan struct{}),
			log: r.log.With(zap.String("service", name)),
		}
		r.services[name] = s
		r.start(func(ctx context.Context) { s.run(ctx, r) })
	}
	return s, nil
}

// run keeps the list. After the first one the watch itself survives everything.
func (s *service) run(ctx context.Context, r *Registry) {
	for failures := 1; ctx.Err() == nil; failures++ {
		cache, err := watch.Mirror(ctx, r.client, s.prefix, s.decode)
		if err != nil {
			s.set(nil, err)
			backoff.Wait(ctx, retries.Delay(failures))
			continue
		}
		s.set(cache, nil)
		s.observe(ctx, cache)
		_ = cache.Close() // never fails
	}
}

func (s *service) set(cache *watch.Cache[Instance], err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cache, s.refused = cache, err
	close(s.changed)
	s.changed = make(chan struct{})
}

// listed tells whether there is a list that is kept up to date.
func (s *service) listed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cache != nil
}

// observe logs when the list becomes stale, and when it is current again.
func (s *service) observe(ctx context.Context, cache *watch.Cache[Instance]) {
	for backoff.Wait(ctx, staleAfter/4) {
		s.mu.Lock()
		before := s.stale
		s.stale = time.Since(cache.LastContact()) > staleAfter
		now := s.stale
		s.mu.Unlock()
		switch {
		case now && !before:
			s.log.Warn("etcd is silent: the last known instances are used", zap.Time("since", cache.LastContact()))
		case before && !now:
			s.log.Info("etcd answers again: the instances are current")
		}
	}
}

var (
	errNested  = errors.New("the key has another slash after the service's name")
	errNothing = errors.New("the key has nothing after the service's name")
)

// decode skips, with a line in the log, what is no instance.
func (s *service) decode(key string, data []byte) (Instance, error) {
	id := strings.TrimPrefix(key, s.prefix)
	var in Instance
	var err error
	switch {
	case id == "":
		err = errNothing
	case strings.Contains(id, "/"):
		err = errNested
	default:
		in, err = decode(s.name, id, data)
	}
	if err != nil {
		s.log.Warn("skipped what is no instance", zap.String("key", key), zap.Error(err))
	}
	return in, err
}

// list is the instances known, sorted by id. It waits for the first list.
func (s *service) list(ctx context.Context) ([]Instance, <-chan struct{}, error) {
	for {
		s.mu.Lock()
		cache, refused, changed := s.cache, s.refused, s.changed
		s.mu.Unlock()
		switch {
		case cache != nil:
			next := cache.Changed()
			var all []Instance
			for _, in := range cache.All() {
				all = append(all, in)
			}
			return all, next, nil
		case refused != nil && ctx.Err() == nil:
			return nil, changed, refused
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, changed, fmt.Errorf("there is no list yet, for etcd has not answered: %w", context.Cause(ctx))
		}
	}
}

// Instances is the instances of a service that are listed, sorted by ID; none is no error. The first call for a service waits for etcd, until ctx
// ends; after that the registry has a list of its own, that a watch keeps up to date. While etcd is away it is
// the last one known: see Stale.
func (r *Registry) Instances(ctx context.Context, service string) ([]Instance, error) {
	all, _, err := r.list(ctx, service)
	if err != nil {
		return nil, fmt.Errorf("registry: instances of %q: %w", service, err)
	}
	return all, nil
}

func (r *Registry) list(ctx context.Context, service string) ([]Instance, <-chan struct{}, error) {
	s, err := r.service(service)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := r.bound(ctx)
	defer cancel()
	return s.list(ctx)
}

// bound is ctx that ends, with ErrStopped, when the registry does.
func (r *Registry) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.life, func() { cancel(ErrStopped) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Stale is for how long the list of a service's instances has been stale: zero if etcd confirms it, or has told of nothing else since it was last
// asked, a few seconds ago. It is zero for a service that nobody has asked for.
func (r *Registry) Stale(service string) time.Duration {
	r.mu.Lock()
	s := r.services[service]
	r.mu.Unlock()
	if s == nil {
		return 0
	}
	s.mu.Lock()
	cache := s.cache
	s.mu.Unlock()
	if cache == nil {
		return 0
	}
	if silent := time.Since(cache.LastContact()); silent > staleAfter {
		return silent
	}
	return 0
}

// Watch gives the instances of a service as Instances does, and again each time that they have changed, until ctx or the loop ends. A slow
// consumer gets the latest list, not each. Lists are the consumer's own. An error says that the server refuses to be asked, or with ErrStopped that the
// registry is stopped, which ends it.
func (r *Registry) Watch(ctx context.Context, service string) iter.Seq2[[]Instance, error] {
	return func(yield func([]Instance, error) bool) {
		ctx, cancel := r.bound(ctx)
		defer cancel()
		var told string
		var last []Instance
		fresh := true
		for {
			all, changed, err := r.list(ctx, service)
			switch {
			case changed == nil || errors.Is(context.Cause(ctx), ErrStopped):
				yield(nil, fmt.Errorf("registry: watch %q: %w", service, cmp.Or(err, ErrStopped)))
				return
			case ctx.Err() != nil:
				return
			case err != nil:
				if err.Error() != told && !yield(nil, fmt.Errorf("registry: watch %q: %w", service, err)) {
					return
				}
				told = err.Error()
			case fresh || told != "" || !slices.EqualFunc(all, last, Instance.same):
				told, fresh, last = "", false, slices.Clone(all)
				if !yield(all, nil) {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}
