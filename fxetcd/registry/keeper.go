package registry

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

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

var errLeaseLost = errors.New("the lease is lost: it expired or was revoked, or the server has no record of it")

// keeper keeps one lease and the keys under it: those of all registrations with one TTL.
type keeper struct {
	registry *Registry
	ttl      time.Duration
	wake     chan struct{}

	// Guarded by the registry's mutex.
	members    map[*Registration]struct{}
	lease      clientv3.LeaseID
	validUntil time.Time // the server keeps the lease at least until then
	err        error     // why there is no lease

	reported string // what the log said last; only run uses it
}

// keeper is the one for a TTL. r.mu is held.
func (r *Registry) keeper(ttl time.Duration) *keeper {
	k := r.keepers[ttl]
	if k == nil {
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
	case err != nil && k.reported != err.Error():
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var alive <-chan *clientv3.LeaseKeepAliveResponse
	lease := clientv3.NoLease
	if listed {
		var err error
		if lease, alive, err = k.grant(ctx); err != nil {
			return old, err
		}
	}
	err := k.keep(ctx, lease, alive, old)
	k.lose()
	if err == nil && lease != clientv3.NoLease {
		_ = k.revoke(context.WithoutCancel(ctx), lease) // a stop that has come meanwhile waits for it
	}
	return lease, err
}

func (k *keeper) grant(ctx context.Context) (clientv3.LeaseID, <-chan *clientv3.LeaseKeepAliveResponse, error) {
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
		return 0, nil, err
	}
	k.lease, k.validUntil = response.ID, sent.Add(time.Duration(response.TTL)*time.Second)
	return response.ID, alive, nil
}

// lose forgets the lease: nothing is known to be listed any more.
func (k *keeper) lose() {
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	k.lease, k.validUntil = clientv3.NoLease, time.Time{}
	for g := range k.members {
		g.have = false
		g.announce()
	}
}

// keep does what is wished, until the lease is lost, or nothing is under it and nothing wished.
func (k *keeper) keep(ctx context.Context, lease clientv3.LeaseID, alive <-chan *clientv3.LeaseKeepAliveResponse, old clientv3.LeaseID) error {
	failures := 0
	for {
		err := k.settle(ctx, lease)
		if errors.Is(err, errLeaseLost) {
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
		if listed && lease == clientv3.NoLease {
			return nil // the next session has one
		}
		if err := k.await(ctx, alive, k.retryIn(err, failures)); err != nil {
			return err
		}
	}
}

// retryIn is when to look again without being told to; 0: not.
func (k *keeper) retryIn(err error, failures int) time.Duration {
	if err != nil {
		return retries.Delay(failures)
	}
	k.registry.mu.Lock()
	defer k.registry.mu.Unlock()
	now := time.Now()
	tasks, next := k.due(now)
	switch {
	case len(tasks) > 0:
		return time.Nanosecond
	case next.IsZero():
		return 0
	default:
		return next.Sub(now)
	}
}

// await waits for something to do.
func (k *keeper) await(ctx context.Context, alive <-chan *clientv3.LeaseKeepAliveResponse, in time.Duration) error {
	var again <-chan time.Time
	if in > 0 {
		timer := time.NewTimer(in)
		defer timer.Stop()
		again = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.wake:
			return nil
		case <-again:
			return nil
		case response, ok := <-alive:
			if !ok {
				return errLeaseLost
			}
			k.registry.mu.Lock()
			k.validUntil = time.Now().Add(time.Duration(response.TTL) * time.Second)
			k.registry.mu.Unlock()
		}
	}
}

// settle does all tasks that are due. Its error is that of one of them: errLeaseLost before others.
func (k *keeper) settle(ctx context.Context, lease clientv3.LeaseID) error {
	r := k.registry
	r.mu.Lock()
	tasks, _ := k.due(time.Now())
	everything := len(tasks) > 0 && lease != clientv3.NoLease
	for g := range k.members {
		everything = everything && g.want == gone && g.have
	}
	r.mu.Unlock()
	if everything && k.revoke(ctx, lease) == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, t := range tasks {
			t.finish(lease, 0, nil)
		}
		return nil
	}
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
			if err := k.do(ctx, lease, t); err != nil && !errors.Is(err, ErrTaken) {
				mu.Lock()
				defer mu.Unlock()
				if failure == nil || errors.Is(err, errLeaseLost) {
					failure = err
				}
			}
		})
	}
	running.Wait()
	return failure
}

func (k *keeper) do(ctx context.Context, lease clientv3.LeaseID, t task) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var revision int64
	var err error
	switch {
	case t.want != online && len(t.leases) == 0: // it never was there
	case t.want != online:
		err = t.remove(ctx, k.registry.client)
	case lease == clientv3.NoLease:
		err = errLeaseLost
	default:
		revision, err = t.put(ctx, k.registry.client, lease)
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
	t.finish(lease, revision, err)
	return err
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
func refused(err error) bool {
	if err == nil {
		return false
	}
	for _, known := range []error{ErrTaken, rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrAuthFailed} {
		if errors.Is(err, known) || strings.Contains(err.Error(), known.Error()) {
			return true
		}
	}
	return false
}
