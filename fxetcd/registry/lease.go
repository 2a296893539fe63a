package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/internal/keepalive"
	"github.com/fxkit/fxkit/fxetcd/internal/outage"
	"github.com/fxkit/fxkit/fxetcd/internal/refusal"
)

// grant asks for a lease. All that is to be listed has to be put under it.
func (k *keeper) grant(ctx context.Context) (clientv3.LeaseID, error) {
	r := k.registry
	sent := time.Now()
	requesting, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := r.client.Grant(requesting, int64(k.ttl/time.Second))
	err = plain(err)
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
		return clientv3.NoLease, err
	}
	k.lease, k.validUntil = response.ID, sent.Add(time.Duration(response.TTL)*time.Second)
	return response.ID, nil
}

// renew keeps the lease until ctx ends, or it is gone, which is an error if it is still needed. It is not kept waiting by what is put meanwhile, which
// may take long.
func (k *keeper) renew(ctx context.Context, lease clientv3.LeaseID) error {
	err := keepalive.Lease{Client: k.registry.client, ID: lease, TTL: k.ttl, Retry: retries, Alive: k.renewed}.Run(ctx)
	if errors.Is(err, keepalive.ErrGone) && !k.leased() {
		return nil // given up
	}
	return err
}

func (k *keeper) renewed(sent time.Time, ttl time.Duration) {
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	late := time.Now().After(k.validUntil)
	k.validUntil = sent.Add(ttl)
	if late {
		k.announce() // what was Pending is Online again
	}
}

// lose forgets the lease, which it returns unless it is revoked: nothing is known to be listed any more.
func (k *keeper) lose(why error) clientv3.LeaseID {
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	lease := cmp.Or(k.lease, k.givenUp)
	k.lease, k.givenUp, k.validUntil, k.err = clientv3.NoLease, clientv3.NoLease, time.Time{}, why
	for g := range k.members {
		g.have = false
	}
	k.announce()
	return lease
}

// reason is why nothing is proven to be listed, if nothing is. The registry's mutex is held.
func (k *keeper) reason() error {
	if now := time.Now(); k.lease != clientv3.NoLease && now.After(k.validUntil) {
		return fmt.Errorf("etcd has not confirmed the lease for %v, longer than its TTL", (now.Sub(k.validUntil) + k.ttl).Round(time.Millisecond))
	}
	return k.err
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

// plain says what an error of a request says about etcd.
func plain(err error) error {
	if err == nil {
		return nil
	}
	return cmp.Or(outage.Reason(err), err)
}

// refused tells whether the server will give the same answer again.
func refused(err error) bool { return errors.Is(err, ErrTaken) || refusal.Of(err) != nil }
