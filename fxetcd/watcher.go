package fxetcd

import (
	"context"
	"errors"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/internal/outgoing"
)

// watcher gives watches a context that lasts, and asks on the same stream for progress as for the watch: a stream is found by the
// context's metadata.
type watcher struct {
	clientv3.Watcher
	requireLeader bool
}

func (w *watcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	return w.Watcher.Watch(streamContext{ctx, w.requireLeader}, key, opts...)
}

func (w *watcher) RequestProgress(ctx context.Context) error {
	return w.Watcher.RequestProgress(streamContext{ctx, w.requireLeader})
}

// namespacedWatcher is etcd's, whose Watch must not run beside its Close, or begin a goroutine that Close does not wait for.
type namespacedWatcher struct {
	clientv3.Watcher
	inner clientv3.Watcher // the same without the namespace

	closing sync.RWMutex // read by each Watch
}

func (w *namespacedWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	w.closing.RLock()
	defer w.closing.RUnlock()
	return w.Watcher.Watch(ctx, key, opts...)
}

// Close ends the streams first, which is what a Watch waits for while the server is away.
func (w *namespacedWatcher) Close() error {
	err := w.inner.Close()
	w.closing.Lock()
	defer w.closing.Unlock()
	return errors.Join(err, w.Watcher.Close())
}

// streamContext is that of a stream. With requireLeader it is clientv3.WithRequireLeader, except that it passes each look at the metadata on
// to the context that it is made from: package watch learns from those when a stream is opened.
type streamContext struct {
	context.Context
	requireLeader bool
}

var outgoingKey = outgoing.Key()

// lasts is the key of a stream's context: the login before the stream is opened has the stream's deadline, or none. etcd's client gives a
// watch up for good when that login fails at one.
type lasts struct{}

func (c streamContext) Value(key any) any {
	switch {
	case key == lasts{}:
		return true
	case key == outgoingKey && c.requireLeader:
		return clientv3.WithRequireLeader(c.Context).Value(key)
	}
	return c.Context.Value(key)
}
