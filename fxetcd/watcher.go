package fxetcd

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/internal/outgoing"
)

// leaderWatcher asks on the same stream for progress as for the watch: a stream is found by the context's metadata.
type leaderWatcher struct{ clientv3.Watcher }

func (w *leaderWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	return w.Watcher.Watch(leaderContext{ctx}, key, opts...)
}

func (w *leaderWatcher) RequestProgress(ctx context.Context) error {
	return w.Watcher.RequestProgress(leaderContext{ctx})
}

// leaderContext is clientv3.WithRequireLeader, except that it passes each look at the metadata on to the context that it is made from: package watch
// learns from those when a stream is opened.
type leaderContext struct{ context.Context }

var outgoingKey = outgoing.Key()

func (c leaderContext) Value(key any) any {
	if key == outgoingKey {
		return clientv3.WithRequireLeader(c.Context).Value(key)
	}
	return c.Context.Value(key)
}
