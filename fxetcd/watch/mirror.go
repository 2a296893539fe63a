package watch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/internal/outage"
	"github.com/fxkit/fxkit/internal/guard"
)

// Cache is a decoded copy of a prefix, kept up to date. Its readers see whole revisions only, and change sets at once.
type Cache[T any] struct {
	prefix string
	decode func(key string, value []byte) (T, error)
	source *source
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.RWMutex
	values   map[string]T
	broken   map[string]error // by key: what decode said
	refused  error
	revision int64
	changed  chan struct{}
}

// Mirror keeps a decoded copy of all keys that begin with prefix. It returns once the first snapshot is in; ctx bounds that wait, and not
// the life of the Cache, which ends with Close or with the client.
//
// A value that decode refuses (with an error, or a panic) is left out, and Err says so: one bad value does not keep the others from being used.
//
// The error of a Mirror that ctx ends says what the matter with etcd was, if that is known: a client of package fxetcd knows, five seconds later, why
// there is no connection.
func Mirror[T any](ctx context.Context, c *clientv3.Client, prefix string, decode func(key string, value []byte) (T, error)) (*Cache[T], error) {
	if c == nil || decode == nil {
		return nil, fmt.Errorf("watch: mirror %q: client and decode must not be nil", prefix)
	}
	if ctx.Err() != nil {
		return nil, inVain(prefix, outage.Ended(ctx, nil))
	}
	began := time.Now()
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m := &Cache[T]{
		prefix: prefix, decode: decode, cancel: cancel, done: make(chan struct{}),
		values: map[string]T{}, broken: map[string]error{}, changed: make(chan struct{}),
	}
	member := newSubscription(-1, 0)
	member.marks = true
	m.source = subscribe(c, prefix, member)
	b, err := m.source.read(ctx, member)
	if b == nil {
		cancel()
		unsubscribe(m.source, member)
		if err == nil {
			err = outage.Ended(ctx, m.source.trouble(ctx, began))
		}
		return nil, inVain(prefix, err)
	}
	m.apply(b)
	go m.follow(life, member)
	return m, nil
}

func inVain(prefix string, err error) error {
	return fmt.Errorf("watch: mirror %q: no snapshot yet: %w", prefix, err)
}

func (m *Cache[T]) follow(ctx context.Context, member *subscription) {
	defer close(m.done)
	defer unsubscribe(m.source, member)
	for {
		b, err := m.source.read(ctx, member)
		switch {
		case err != nil:
			m.refuse(err)
			if errors.Is(err, ErrClosed) {
				return
			}
		case b == nil:
			return
		default:
			m.apply(b)
		}
	}
}

// apply decodes outside of the lock: decode is the user's, and may take its time.
func (m *Cache[T]) apply(b *batch) {
	type decoded struct {
		value T
		err   error
	}
	puts := make(map[string]decoded, len(b.events))
	for _, e := range b.events {
		if e.Type == Put {
			var d decoded
			d.err = brief(guard.Call(func() (err error) {
				d.value, err = m.decode(e.Key, e.Value)
				return err
			}))
			puts[e.Key] = d
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range b.events {
		switch e.Type {
		case Put:
			delete(m.values, e.Key)
			delete(m.broken, e.Key)
			if d := puts[e.Key]; d.err != nil {
				m.broken[e.Key] = d.err
			} else {
				m.values[e.Key] = d.value
			}
		case Delete:
			delete(m.values, e.Key)
			delete(m.broken, e.Key)
		case Reset, Synced:
		}
	}
	m.revision = b.revision
	if len(b.events) > 0 || m.refused != nil {
		m.announce()
	}
	m.refused = nil
}

// brief is a panic without its stack. Err may list many, for people to read; errors.As finds the whole.
func brief(err error) error {
	if panicked, ok := err.(*guard.PanicError); ok { //nolint:errorlint // what decode has wrapped has words of its own around it
		return &inBrief{panicked}
	}
	return err
}

type inBrief struct{ *guard.PanicError }

func (p *inBrief) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

func (p *inBrief) Unwrap() error { return p.PanicError }

func (m *Cache[T]) announce() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Cache[T]) refuse(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused = err
	m.announce()
}

// Get is the value of a key (the whole key, prefix included).
func (m *Cache[T]) Get(key string) (T, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	value, ok := m.values[key]
	return value, ok
}

// All is the whole cache as it is when the loop begins, sorted by key.
func (m *Cache[T]) All() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		m.mu.RLock()
		values := maps.Clone(m.values)
		m.mu.RUnlock()
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if !yield(key, values[key]) {
				return
			}
		}
	}
}

// Changed is closed at the next change, of a value or of Err. Take it before looking, so as not to miss a change in between.
func (m *Cache[T]) Changed() <-chan struct{} {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.changed
}

// Revision is that of etcd at which the cache holds what etcd does.
func (m *Cache[T]) Revision() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.revision
}

// LastContact is when the server last did what this watch asked of it: sent a change, said that there is none, or let itself be read. A silent one is
// asked every three seconds, so a contact much older than that means that what the cache holds is what was known then: there is no server, or it
// refuses to be watched. A refusal is no contact; Err has it.
func (m *Cache[T]) LastContact() time.Time { return *m.source.heard.Load() }

// Err is why the cache may not hold all that etcd does: the values that decode refuses, and whether the server refuses to be watched, or the client is closed.
func (m *Cache[T]) Err() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var problems []error
	if m.refused != nil {
		problems = append(problems, m.refused)
	}
	for _, key := range slices.Sorted(maps.Keys(m.broken)) {
		problems = append(problems, fmt.Errorf("watch: mirror %q: decode %q: %w", m.prefix, key, m.broken[key]))
	}
	return errors.Join(problems...)
}

// Close ends the watch. What the cache holds then stays readable.
func (m *Cache[T]) Close() error {
	m.cancel()
	<-m.done
	return nil
}
