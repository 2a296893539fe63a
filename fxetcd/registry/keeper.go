package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/internal/keepalive"
	"github.com/fxkit/fxkit/internal/backoff"
)

const (
	// requestTimeout bounds each request. The next attempt may find another server.
	requestTimeout = 2 * time.Second
	// parallel is how many keys are put or deleted at once: after the loss of a lease there may be many.
	parallel = 32
	// takenRetry is how often it is tried whether another process has let go of an id. Its going is noticed at once in most cases.
	takenRetry = 10 * time.Second
)

// retries bounds how late an instance is back after etcd is.
var retries = backoff.Policy{Base: 50 * time.Millisecond, Max: 500 * time.Millisecond}

// keeper keeps one lease and the keys under it: those of all registrations with one TTL.
type keeper struct {
	registry *Registry
	ttl      time.Duration
	wake     chan struct{}

	// Guarded by the registry's mutex.
	members    map[*Registration]struct{}
	lease      clientv3.LeaseID
	givenUp    clientv3.LeaseID // nothing is put under it any more, and it is not revoked yet
	validUntil time.Time        // the server keeps the lease at least until then
	err        error            // why there is no lease

	reported string // what the log said last; only run uses it
}

// keeper is the one for a TTL. r.mu is held.
func (r *Registry) keeper(ttl time.Duration) *keeper {
	k := r.keepers[ttl]
	if k == nil {
		if len(r.keepers) == 0 {
			r.start(r.reconnect)
		}
		k = &keeper{registry: r, ttl: ttl, wake: make(chan struct{}, 1), members: map[*Registration]struct{}{}}
		r.keepers[ttl] = k
		r.start(k.run)
	}
	return k
}

func (k *keeper) notify() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run keeps what is wished until ctx ends. It goes round: idle, while nothing is to be done; then a lease and what is under it, until
// the lease is lost or nothing needs it any more.
func (k *keeper) run(ctx context.Context) {
	failures := 0
	var old clientv3.LeaseID
	for ctx.Err() == nil {
		listed, dirty := k.needs()
		if !listed && !dirty {
			select {
			case <-k.wake:
			case <-ctx.Done():
			}
			continue
		}
		start := time.Now()
		lease, err := k.session(ctx, listed, old)
		old = lease
		if err == nil || ctx.Err() != nil {
			failures, old = 0, clientv3.NoLease
			continue
		}
		k.report(err)
		if time.Since(start) > 2*retries.Max {
			failures = 0
		}
		failures++
		backoff.Wait(ctx, retries.Delay(failures))
	}
}

// report logs what keeps registrations from being true, once until it changes, and that it is over.
func (k *keeper) report(err error) {
	switch {
	case err == nil && k.reported != "":
		k.registry.log.Info("registrations are up to date again")
		k.reported = ""
	case err != nil && k.reported != err.Error() && !errors.Is(err, context.Canceled):
		k.registry.log.Warn("registrations are not up to date; this is being retried", zap.Error(err))
		k.reported = err.Error()
	}
}

func (k *keeper) needs() (listed, dirty bool) {
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	for g := range k.members {
		listed = listed || g.want == online
		dirty = dirty || g.dirty
	}
	return listed, dirty
}

// session is the life of a lease, or if nothing is to be listed, of the wish to delete what was. It returns the lease that it leaves behind, if any.
func (k *keeper) session(ctx context.Context, listed bool, old clientv3.LeaseID) (clientv3.LeaseID, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	if listed {
		lease, err := k.grant(ctx)
		if err != nil {
			_ = k.settle(ctx) // to take something off the list no lease is needed
			cancel(nil)
			return old, err
		}
		renewing.Go(func() {
			if err := k.renew(ctx, lease); err != nil {
				cancel(err)
			}
		})
	}
	err := k.keep(ctx, old)
	cancel(nil)
	renewing.Wait()
	lease := k.lose(err)
	if err == nil && lease != clientv3.NoLease {
		_ = k.revoke(context.WithoutCancel(ctx), lease) // a stop that has come meanwhile waits for it
	}
	return lease, err
}

// keep does what is wished, until the lease is lost, or nothing is under it and nothing wished.
func (k *keeper) keep(ctx context.Context, old clientv3.LeaseID) error {
	failures := 0
	for {
		err := k.settle(ctx)
		if errors.Is(err, keepalive.ErrGone) {
			return err
		}
		if err == nil {
			failures = 0
			k.report(nil)
			if old != clientv3.NoLease {
				_ = k.revoke(context.WithoutCancel(ctx), old) // nothing is under it any more
				old = clientv3.NoLease
			}
		} else {
			failures++
			k.report(err)
		}
		listed, dirty := k.needs()
		if !listed && !dirty {
			return nil
		}
		if listed && !k.leased() {
			return nil // the next session has one
		}
		if err := k.await(ctx, k.retryIn(err, failures)); err != nil {
			return err
		}
	}
}

// due is the registrations for which something is to be done now, and when there will be more. To list one takes a lease. The registry's mutex is held.
func (k *keeper) due(now time.Time) (all []*Registration, next time.Time) {
	for g := range k.members {
		switch {
		case !g.dirty, g.want == online && k.lease == clientv3.NoLease:
		case !g.retryAt.After(now):
			all = append(all, g)
		case next.IsZero() || g.retryAt.Before(next):
			next = g.retryAt
		}
	}
	return all, next
}

// retryIn is when to look again without being told to; 0: not.
func (k *keeper) retryIn(err error, failures int) time.Duration {
	if err != nil {
		return retries.Delay(failures)
	}
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	now := time.Now()
	all, next := k.due(now)
	switch {
	case len(all) > 0:
		return time.Nanosecond
	case next.IsZero():
		return 0
	default:
		return next.Sub(now)
	}
}

// await waits for something to do. It is an error that the lease is lost.
func (k *keeper) await(ctx context.Context, in time.Duration) error {
	var again <-chan time.Time
	if in > 0 {
		timer := time.NewTimer(in)
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-k.wake:
	case <-again:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// settle does all that is due. Its error is that of one task: keepalive.ErrGone before others.
func (k *keeper) settle(ctx context.Context) error {
	k.revokeAll(ctx)
	r := k.registry
	r.mu.Lock()
	due, _ := k.due(time.Now())
	var tasks []task
	for _, g := range due {
		tasks = append(tasks, g.begin())
	}
	r.mu.Unlock()
	var (
		running sync.WaitGroup
		slots   = make(chan struct{}, parallel)
		mu      sync.Mutex
		failure error
	)
	for _, t := range tasks {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if err := k.do(ctx, t); err != nil && !errors.Is(err, ErrTaken) {
				mu.Lock()
				defer mu.Unlock()
				if failure == nil || errors.Is(err, keepalive.ErrGone) {
					failure = err
				}
			}
		})
	}
	running.Wait()
	return failure
}

func (k *keeper) do(ctx context.Context, t task) error {
	requesting, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var revision int64
	var err error
	switch {
	case t.want == online:
		revision, err = t.put(requesting, k.registry.client)
	case len(t.leases) > 0: // else it never was there
		err = t.remove(requesting, k.registry.client)
	}
	err = plain(err)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // the lease was lost meanwhile
	}
	r := k.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, ErrTaken) {
		if !errors.Is(t.g.err, ErrTaken) {
			r.log.Warn("an instance is not listed: another process has its id", zap.String("instance", t.g.name))
		}
		t.g.retryAt = time.Now().Add(takenRetry)
	}
	t.finish(revision, err)
	return err
}
