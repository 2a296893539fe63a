package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/internal/outage"
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
	in        Instance
	value     string
	want      wish
	version   int // of the wish, counted up
	dirty     bool
	takeOver  bool               // the next put may replace another process's key
	have      bool               // the key is in etcd, under the keeper's lease, as far as is known
	revision  int64              // when it was put there
	lostAt    int64              // when the guard last saw it go, since the last task began
	leases    []clientv3.LeaseID // that the key may be under
	err       error              // of the last attempt
	retryAt   time.Time
	changed   chan struct{}
	waiting   int    // calls of Register that wait for it
	kept      bool   // one of them has returned it, or nobody has to
	guardedBy string // the prefix that is watched for it
}

// Register lists an instance of this process, and keeps it listed until Deregister or Stop, whatever happens to etcd. It returns when
// the instance is listed. If ctx ends before, or the server refuses, it returns an error, and the instance is taken away again, unless another call of
// Register still waits for it; but one that was registered already, and only changes, is retried. If it is deregistered meanwhile, that is an error too.
//
// Registering the same service and id again updates its address and metadata, and returns the same Registration. Its TTL stays: another one is an
// error, and to change it takes a Deregister. If another process has registered them, it has lost them: its
// registration becomes Pending, with ErrTaken.
func (r *Registry) Register(ctx context.Context, in Instance) (*Registration, error) {
	g, err := r.register(in, false)
	if err != nil {
		return nil, err
	}
	err = g.settled(ctx, online)
	g.waited(err)
	if err != nil {
		return nil, g.failed("register", err)
	}
	return g, nil
}

// register asks for a registration and does not wait for it. Its caller either keeps it, come what may, or calls waited.
func (r *Registry) register(in Instance, keep bool) (*Registration, error) {
	ttl := in.TTL
	in, err := in.complete(r.cfg.TTL)
	if err != nil {
		return nil, fmt.Errorf("registry: register %q: %w", in.Service+"/"+in.ID, err)
	}
	encoded, err := in.encode()
	if err != nil {
		return nil, fmt.Errorf("registry: register %q: %w", in.Service+"/"+in.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.life.Err() != nil {
		return nil, fmt.Errorf("registry: register %q: %w", in.Service+"/"+in.ID, ErrStopped)
	}
	key := in.key(r.cfg.Namespace)
	g := r.registrations[key]
	if g != nil && g.want != gone && ttl == 0 {
		in.TTL = g.in.TTL
	}
	if g != nil && g.in.TTL != in.TTL {
		if g.want != gone {
			return nil, fmt.Errorf("registry: register %q: it has a TTL of %v, which cannot change to %v: deregister it first",
				in.Service+"/"+in.ID, g.in.TTL, in.TTL)
		}
		delete(r.registrations, key) // its keeper still takes it away, unless the new one has replaced it by then
		g = nil
	}
	fresh := g == nil
	if fresh {
		g = &Registration{keeper: r.keeper(in.TTL), name: in.Service + "/" + in.ID, key: key, changed: make(chan struct{})}
		r.registrations[key] = g
		g.keeper.members[g] = struct{}{}
	}
	if g.want == gone {
		g.kept = false // what was registered before is over
	}
	if fresh || g.want != online || g.value != encoded {
		g.in, g.value, g.takeOver = in, encoded, true
		g.set(online)
	}
	if keep {
		g.kept = true
	} else {
		g.waiting++
	}
	return g, nil
}

// waited ends a Register's wait. The last one that fails takes away what none has returned.
func (g *Registration) waited(err error) {
	r := g.keeper.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	g.waiting--
	g.kept = g.kept || err == nil
	if g.waiting == 0 && !g.kept && g.want != gone {
		g.set(gone)
	}
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
	if err := g.settled(ctx, w); err != nil {
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

// settled waits until the last wish is true, or the server refuses it. Where others have wished meanwhile, theirs counts; but what was to be
// listed must not be gone.
func (g *Registration) settled(ctx context.Context, w wish) error {
	r := g.keeper.registry
	for {
		r.mu.Lock()
		over, stopped := w == online && g.want == gone, r.stopped
		state, err, reason, changed := g.state(), g.err, g.reason(), g.changed
		r.mu.Unlock()
		switch {
		case over && stopped:
			return ErrStopped
		case over:
			return errors.New("it was deregistered meanwhile")
		case state != Pending:
			return nil
		case refused(err):
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if reason == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				reason = outage.ErrSilent
			}
			return outage.Ended(ctx, reason)
		case <-r.life.Done():
			return ErrStopped
		}
	}
}

// reason is what keeps the wish from being true, if that is known. The registry's mutex is held.
func (g *Registration) reason() error {
	if g.want == online {
		return cmp.Or(g.err, g.keeper.reason())
	}
	return g.err
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

// Err is why the registration is Pending, if that is known: what the last attempt said, or that nothing confirms the lease.
func (g *Registration) Err() error {
	g.keeper.registry.mu.Lock()
	defer g.keeper.registry.mu.Unlock()
	if g.state() != Pending {
		return nil
	}
	return g.reason()
}

// Instance is what was registered, its defaults filled in.
func (g *Registration) Instance() Instance {
	g.keeper.registry.mu.Lock()
	defer g.keeper.registry.mu.Unlock()
	return g.in
}
