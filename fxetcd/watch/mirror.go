package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

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
func Mirror[T any](ctx context.Context, c *clientv3.Client, prefix string, decode func(key string, value []byte) (T, error)) (*Cache[T], error) {
	if c == nil || decode == nil {
		return nil, fmt.Errorf("watch: mirror %q: client and decode must not be nil", prefix)
	}
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
		return nil, fmt.Errorf("watch: mirror %q: no snapshot yet: %w", prefix, cmp.Or(err, context.Cause(ctx)))
	}
	m.apply(b)
	go m.follow(life, member)
	return m, nil
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
			d.err = guard.Call(func() (err error) {
				d.value, err = m.decode(e.Key, e.Value)
				return err
			})
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

// LastContact is when the server last answered anything. A silent one is asked every three seconds: a contact much older than that means that
// there is no server, and what the cache holds is what was known then.
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
