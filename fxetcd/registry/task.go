package registry

import (
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/internal/keepalive"
)

// task is what to do for a registration, as it was when the task began.
type task struct {
	g        *Registration
	version  int
	want     wish
	value    string
	takeOver bool
	lease    clientv3.LeaseID   // to put the key under
	first    bool               // nothing was put under it before
	leases   []clientv3.LeaseID // that the key may be under
}

// begin is what there is to do. The registry's mutex is held.
func (g *Registration) begin() task {
	t := task{g: g, version: g.version, want: g.want, value: g.value, takeOver: g.takeOver, lease: g.keeper.lease}
	if t.want == online && !slices.Contains(g.leases, t.lease) {
		t.first = true
		g.leases = append(g.leases, t.lease) // from now on the key may be under it, whatever the answer says
	}
	t.leases = slices.Clone(g.leases)
	g.lostAt = 0
	return t
}

// finish takes in the result. The registry's mutex is held.
func (t task) finish(revision int64, err error) {
	g := t.g
	defer g.announce()
	switch {
	case t.want != online && err == nil:
		g.have, g.leases = false, nil
	case t.want != online:
	case err == nil:
		g.have, g.revision, g.leases = true, revision, []clientv3.LeaseID{t.lease}
	default:
		g.have, g.revision = false, 0
		if refused(err) && t.first {
			g.leases = slices.DeleteFunc(g.leases, func(l clientv3.LeaseID) bool { return l == t.lease })
		}
	}
	if g.version != t.version {
		return // something else is wanted by now
	}
	g.err = err
	switch {
	case err != nil:
	case t.want == online && g.lostAt > revision: // the guard was faster than the answer
		g.have, g.takeOver = false, false
	default:
		g.dirty, g.takeOver = false, false
		g.settle()
	}
}

// settle guards what is listed, and forgets what is gone.
func (g *Registration) settle() {
	r := g.keeper.registry
	if g.want == online {
		r.guard(g)
	} else {
		r.unguard(g)
	}
	if g.want == gone {
		delete(g.keeper.members, g)
		if r.registrations[g.key] == g {
			delete(r.registrations, g.key)
		}
	}
}

// put makes the key what it should be, under the task's lease, and returns the revision since when it is.
//
// Only a Register takes a key from another process. To put it back after a loss must not: the other one may be newer, and two that
// put back in turns would never end.
func (t task) put(ctx context.Context, c *clientv3.Client) (int64, error) {
	write := clientv3.OpPut(t.g.key, t.value, clientv3.WithLease(t.lease))
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
		case clientv3.LeaseID(found.Lease) == t.lease && string(found.Value) == t.value:
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
		return errors.Join(keepalive.ErrGone, err)
	}
	return err
}
