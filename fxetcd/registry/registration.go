package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// State is where a registration stands.
type State int

const (
	// Pending: what was asked for is not in etcd yet, or no longer, or nothing proves that it is. It is being retried, for as long as it
	// takes; Registration.Err says why it did not work.
	Pending State = iota
	// Online: the instance is listed.
	Online
	// Offline: it is not listed, but Online lists it again.
	Offline
	// Deregistered: it is not listed, and the registration is over.
	Deregistered
)

// String is the constant's name.
func (s State) String() string {
	names := []string{"Pending", "Online", "Offline", "Deregistered"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return names[s]
}

// wish is what was asked for last.
type wish int

const (
	online wish = iota
	offline
	gone
)

// Registration is an instance of this process that is, or was, registered.
type Registration struct {
	keeper *keeper
	name   string // service/id
	key    string

	// Guarded by the registry's mutex.
	in       Instance
	value    string
	want     wish
	version  int // of the wish, counted up
	dirty    bool
	takeOver bool               // the next put may replace another process's key
	have     bool               // the key is in etcd, under the keeper's lease, as far as is known
	revision int64              // when it was put there
	leases   []clientv3.LeaseID // that the key may be under
	err      error              // of the last attempt
	retryAt  time.Time
	changed  chan struct{}
	unguard  context.CancelFunc
	shared   bool // its guard is that of the namespace
}

// Register lists an instance of this process, and keeps it listed until Deregister or Stop, whatever happens to etcd. It returns when
// the instance is listed. If ctx ends before, or the server refuses, it returns an error, and the instance is not listed then; but one that was registered
// already, and only changes, is retried.
//
// Registering the same service and id again updates it, and returns the same Registration. If another process has registered them, it has lost them: its
// registration becomes Pending, with ErrTaken.
func (r *Registry) Register(ctx context.Context, in Instance) (*Registration, error) {
	g, fresh, err := r.register(in)
	if err != nil {
		return nil, err
	}
	if err := g.settled(ctx); err != nil {
		err = g.failed("register", err)
		if fresh {
			g.change(gone)
		}
		return nil, err
	}
	return g, nil
}

// register asks for a registration and does not wait for it.
func (r *Registry) register(in Instance) (g *Registration, fresh bool, err error) {
	in, err = in.complete(r.cfg.TTL)
	if err != nil {
		return nil, false, fmt.Errorf("registry: register %q: %w", in.Service+"/"+in.ID, err)
	}
	encoded, err := in.encode()
	if err != nil {
		return nil, false, fmt.Errorf("registry: register %q: %w", in.Service+"/"+in.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.life.Err() != nil {
		return nil, false, fmt.Errorf("registry: register %q: %w", in.Service+"/"+in.ID, ErrStopped)
	}
	key := in.key(r.cfg.Namespace)
	g = r.registrations[key]
	if g != nil && g.in.TTL != in.TTL {
		if g.want != gone {
			return nil, false, fmt.Errorf("registry: register %q: it has a TTL of %v, which cannot change to %v: deregister it first",
				in.Service+"/"+in.ID, g.in.TTL, in.TTL)
		}
		delete(r.registrations, key) // its keeper still takes it away, unless the new one has replaced it by then
		g = nil
	}
	if g == nil {
		fresh = true
		g = &Registration{keeper: r.keeper(in.TTL), name: in.Service + "/" + in.ID, key: key, changed: make(chan struct{})}
		r.registrations[key] = g
		g.keeper.members[g] = struct{}{}
	}
	if fresh || g.want != online || g.value != encoded {
		g.in, g.value, g.takeOver = in, encoded, true
		g.set(online)
	}
	return g, fresh, nil
}

// Offline takes the instance off the list, for as long as nobody calls Online. It returns when that is done. If ctx ends before, it is still retried.
func (g *Registration) Offline(ctx context.Context) error {
	return g.ask(ctx, "take offline", offline)
}

// Online lists an instance again after Offline. It returns when that is done. If ctx ends before, it is still retried.
func (g *Registration) Online(ctx context.Context) error { return g.ask(ctx, "take online", online) }

// Deregister takes the instance off the list for good. It returns when that is done. If ctx ends before, it is still retried, and at the
// latest the instance is gone after its TTL when the process is.
func (g *Registration) Deregister(ctx context.Context) error { return g.ask(ctx, "deregister", gone) }

func (g *Registration) ask(ctx context.Context, operation string, w wish) error {
	if err := g.change(w); err != nil {
		return g.failed(operation, err)
	}
	if err := g.settled(ctx); err != nil {
		return g.failed(operation, err)
	}
	return nil
}

// change makes a wish, unless it is the one that there is.
func (g *Registration) change(w wish) error {
	r := g.keeper.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case g.want == w:
	case g.want == gone && w == online:
		if r.stopped {
			return ErrStopped
		}
		return errors.New("it is deregistered: Register it again")
	case g.want == gone:
	default:
		g.set(w)
	}
	return nil
}

// set makes a wish. The registry's mutex is held.
func (g *Registration) set(w wish) {
	g.want, g.dirty, g.err, g.retryAt = w, true, nil, time.Time{}
	g.version++
	g.announce()
	g.keeper.notify()
}

func (g *Registration) announce() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// settled waits until the last wish is true, or the server refuses it.
func (g *Registration) settled(ctx context.Context) error {
	r := g.keeper.registry
	for {
		r.mu.Lock()
		state, err, changed := g.state(), g.err, g.changed
		r.mu.Unlock()
		switch {
		case state != Pending:
			return nil
		case refused(err):
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-r.life.Done():
			return ErrStopped
		}
	}
}

func (g *Registration) failed(operation string, err error) error {
	return fmt.Errorf("registry: %s %q: %w", operation, g.name, err)
}

// State is what is known of the registration now.
func (g *Registration) State() State {
	g.keeper.registry.mu.Lock()
	defer g.keeper.registry.mu.Unlock()
	return g.state()
}

func (g *Registration) state() State {
	switch {
	case g.dirty:
		return Pending
	case g.want == online && g.have && time.Now().Before(g.keeper.validUntil):
		return Online
	case g.want == online:
		return Pending
	case g.want == offline:
		return Offline
	default:
		return Deregistered
	}
}

// Err is why the registration is Pending, if the last attempt failed.
func (g *Registration) Err() error {
	g.keeper.registry.mu.Lock()
	defer g.keeper.registry.mu.Unlock()
	if g.state() != Pending {
		return nil
	}
	return cmp.Or(g.err, g.keeper.err)
}

// Instance is what was registered, its defaults filled in.
func (g *Registration) Instance() Instance {
	g.keeper.registry.mu.Lock()
	defer g.keeper.registry.mu.Unlock()
	return g.in
}

// task is what to do for a registration, as it was when it was asked.
type task struct {
	g        *Registration
	version  int
	want     wish
	value    string
	takeOver bool
	leases   []clientv3.LeaseID
}

// finish takes in the result of a task. The registry's mutex is held.
func (t task) finish(lease clientv3.LeaseID, revision int64, err error) {
	g := t.g
	defer g.announce()
	if t.want == online {
		g.have = err == nil
		g.revision = revision
		if err == nil {
			g.leases = []clientv3.LeaseID{lease}
		} else if refused(err) {
			g.leases = slices.DeleteFunc(g.leases, func(l clientv3.LeaseID) bool { return l == lease })
		}
	} else if err == nil {
		g.have, g.leases = false, nil
	}
	if g.version != t.version {
		return // something else is wanted by now
	}
	g.err = err
	if err == nil {
		g.dirty, g.takeOver = false, false
		g.keeper.registry.settledNow(g)
	}
}

// settledNow guards what is listed, and forgets what is gone.
func (r *Registry) settledNow(g *Registration) {
	switch {
	case g.want == online && g.unguard == nil:
		r.guard(g)
	case g.want != online && g.unguard != nil:
		g.unguard()
		g.unguard = nil
	}
	if g.want == gone {
		delete(g.keeper.members, g)
		if r.registrations[g.key] == g {
			delete(r.registrations, g.key)
		}
	}
}

// due is the tasks that may run now, and when the next one may.
func (k *keeper) due(now time.Time) (tasks []task, next time.Time) {
	for g := range k.members {
		switch {
		case !g.dirty:
		case g.retryAt.After(now):
			if next.IsZero() || g.retryAt.Before(next) {
				next = g.retryAt
			}
		default:
			if k.lease != clientv3.NoLease && g.want == online && !slices.Contains(g.leases, k.lease) {
				g.leases = append(g.leases, k.lease) // from now on the key may be under it, whatever the answer says
			}
			tasks = append(tasks, task{g, g.version, g.want, g.value, g.takeOver, slices.Clone(g.leases)})
		}
	}
	return tasks, next
}
