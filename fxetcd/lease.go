package fxetcd

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// keptLeases knows the leases that the client keeps alive, sessions' among them. When the client is destroyed nobody keeps them any
// more; ending them then, rather than a TTL later, is what lets a lock's next holder go on at once.
type keptLeases struct {
	clientv3.Lease

	mu   sync.Mutex
	kept map[clientv3.LeaseID]int // by how many KeepAlive
}

// KeepAlive passes the responses on, to learn when they end: the lease is lost, or nobody wants it kept any more. Whoever ends a keepalive
// and does not revoke means the lease to expire in its own time.
func (k *keptLeases) KeepAlive(ctx context.Context, id clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	alive, err := k.Lease.KeepAlive(ctx, id)
	if err != nil {
		return alive, err
	}
	k.count(id, 1)
	out := make(chan *clientv3.LeaseKeepAliveResponse, cap(alive))
	go func() {
		defer close(out)
		defer k.count(id, -1)
		for response := range alive {
			select {
			case out <- response:
			default: // nobody reads; etcd's client leaves such responses out, too
			}
		}
	}()
	return out, nil
}

func (k *keptLeases) Revoke(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	out, err := k.Lease.Revoke(ctx, id)
	if err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound) {
		k.mu.Lock()
		delete(k.kept, id)
		k.mu.Unlock()
	}
	return out, err
}

func (k *keptLeases) count(id clientv3.LeaseID, by int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.kept[id] + by; n > 0 {
		k.kept[id] = n
	} else {
		delete(k.kept, id)
	}
}

// revokeAll ends what is still kept alive. What cannot be revoked within ctx expires.
func (k *keptLeases) revokeAll(ctx context.Context) {
	k.mu.Lock()
	ids := make(chan clientv3.LeaseID, len(k.kept))
	for id := range k.kept {
		ids <- id
	}
	k.mu.Unlock()
	close(ids)
	var all sync.WaitGroup
	for range min(len(ids), 16) {
		all.Go(func() {
			for id := range ids {
				_, _ = k.Revoke(ctx, id)
			}
		})
	}
	all.Wait()
}
