package registry

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/internal/refusal"
)

var errLeaseLost = errors.New("the lease is lost: it expired or was revoked, or the server has no record of it")

// grant asks for a lease, and for answers as long as it lives. All that is to be listed has to be put under it.
func (k *keeper) grant(ctx context.Context) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	r := k.registry
	sent := time.Now()
	requesting, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := r.client.Grant(requesting, int64(k.ttl/time.Second))
	var alive <-chan *clientv3.LeaseKeepAliveResponse
	if err == nil {
		alive, err = r.client.KeepAlive(ctx, response.ID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k.err = err
	for g := range k.members {
		if err != nil {
			g.announce() // for those who wait, and are refused
			if refused(err) {
				g.err = err
			}
		} else if g.want == online {
			g.dirty, g.retryAt = true, time.Time{}
		}
	}
	if err != nil {
		return nil, err
	}
	k.lease, k.validUntil = response.ID, sent.Add(time.Duration(response.TTL)*time.Second)
	return alive, nil
}

// renew takes in the answers, and returns when there are no more, which is an error if the lease is still needed. It is not kept waiting by what is
// put meanwhile, which may take long.
func (k *keeper) renew(ctx context.Context, alive <-chan *clientv3.LeaseKeepAliveResponse) error {
	for {
		select {
		case response, ok := <-alive:
			if !ok {
				if !k.leased() {
					return nil // given up
				}
				return errLeaseLost
			}
			k.renewed(time.Duration(response.TTL) * time.Second)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (k *keeper) renewed(ttl time.Duration) {
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	now := time.Now()
	late := now.After(k.validUntil)
	k.validUntil = now.Add(ttl)
	if late {
		k.announce() // what was Pending is Online again
	}
}

// lose forgets the lease, which it returns unless it is revoked: nothing is known to be listed any more.
func (k *keeper) lose() clientv3.LeaseID {
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	lease := cmp.Or(k.lease, k.givenUp)
	k.lease, k.givenUp, k.validUntil = clientv3.NoLease, clientv3.NoLease, time.Time{}
	for g := range k.members {
		g.have = false
	}
	k.announce()
	return lease
}

// announce tells all who wait for a registration to look again. The registry's mutex is held.
func (k *keeper) announce() {
	for g := range k.members {
		g.announce()
	}
}

func (k *keeper) leased() bool {
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	return k.lease != clientv3.NoLease
}

// revokeAll takes all instances off the list in one request, if none is to stay, and gives up the lease: whoever is registered from now on gets a new
// one. The tasks see afterwards whether a key is still there, since somebody else may have put it under no lease.
func (k *keeper) revokeAll(ctx context.Context) {
	r := k.registry
	r.mu.Lock()
	lease := cmp.Or(k.lease, k.givenUp)
	all := lease != clientv3.NoLease
	for g := range k.members {
		all = all && g.want == gone
	}
	if all {
		k.lease, k.givenUp = clientv3.NoLease, lease
	}
	r.mu.Unlock()
	if !all || k.revoke(ctx, lease) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k.givenUp = clientv3.NoLease
}

// revoke deletes what is under the lease, or leaves that to time.
func (k *keeper) revoke(ctx context.Context, lease clientv3.LeaseID) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := k.registry.client.Revoke(ctx, lease)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}

// refused tells whether the server will give the same answer again.
func refused(err error) bool { return errors.Is(err, ErrTaken) || refusal.Of(err) != nil }
