package registry

import (
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// put makes the key what it should be, under the lease, and returns the revision since when it is.
//
// Only a Register takes a key from another process. To put it back after a loss must not: the other one may be newer, and two that
// put back in turns would never end.
func (t task) put(ctx context.Context, c *clientv3.Client, lease clientv3.LeaseID) (int64, error) {
	write := clientv3.OpPut(t.g.key, t.value, clientv3.WithLease(lease))
	if t.takeOver {
		response, err := c.Do(ctx, write)
		if err != nil {
			return 0, leaseError(err)
		}
		return response.Put().Header.Revision, nil
	}
	condition := clientv3.Compare(clientv3.CreateRevision(t.g.key), "=", 0)
	for {
		found, revision, err := t.try(ctx, c, condition, write)
		switch {
		case err != nil:
			return 0, leaseError(err)
		case revision > 0:
			return revision, nil
		case found == nil: // deleted in between
			condition = clientv3.Compare(clientv3.CreateRevision(t.g.key), "=", 0)
		case !t.owns(found):
			return 0, ErrTaken
		case clientv3.LeaseID(found.Lease) == lease && string(found.Value) == t.value:
			return found.ModRevision, nil
		default:
			condition = clientv3.Compare(clientv3.ModRevision(t.g.key), "=", found.ModRevision)
		}
	}
}

// remove deletes the key, if it is ours.
func (t task) remove(ctx context.Context, c *clientv3.Client) error {
	never := clientv3.Compare(clientv3.CreateRevision(t.g.key), "<", 0)
	condition := never
	for {
		found, revision, err := t.try(ctx, c, condition, clientv3.OpDelete(t.g.key))
		if err != nil || revision > 0 || found == nil || !t.owns(found) {
			return err
		}
		condition = clientv3.Compare(clientv3.ModRevision(t.g.key), "=", found.ModRevision)
	}
}

// try writes if the condition holds, and returns the revision; else it returns what is there.
func (t task) try(ctx context.Context, c *clientv3.Client, condition clientv3.Cmp, write clientv3.Op) (found *mvccpb.KeyValue, revision int64, err error) {
	response, err := c.Txn(ctx).If(condition).Then(write).Else(clientv3.OpGet(t.g.key)).Commit()
	if err != nil {
		return nil, 0, err
	}
	if response.Succeeded {
		return nil, response.Header.Revision, nil
	}
	if kvs := response.Responses[0].GetResponseRange().GetKvs(); len(kvs) > 0 {
		found = kvs[0]
	}
	return found, 0, nil
}

// owns tells whether a key is this process's: under a lease that it put it under, or under none, which no process's key is.
func (t task) owns(kv *mvccpb.KeyValue) bool {
	return kv.Lease == 0 || slices.Contains(t.leases, clientv3.LeaseID(kv.Lease))
}

func leaseError(err error) error {
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return errors.Join(errLeaseLost, err)
	}
	return err
}
