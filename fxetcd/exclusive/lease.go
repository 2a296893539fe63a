package exclusive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/internal/keepalive"
	"github.com/fxkit/fxkit/fxetcd/internal/refusal"
	"github.com/fxkit/fxkit/internal/backoff"
)

// A lease is a lease in etcd, and the context of those who rely on it: it ends with cause ErrLost once nothing proves any more that
// the lease lives. It ends with the caller's context too, but the lease is kept until it is let go: whoever has to finish something is still alone.
//
// The proof is an answer of the server to a keepalive, and it holds from when that was sent.
type lease struct {
	context.Context // with the values of the caller, and its end
	cancel          context.CancelCauseFunc
	kept            context.Context // ends when the lease is lost or let go
	drop            context.CancelCauseFunc

	x      *Exclusive
	id     clientv3.LeaseID
	epoch  time.Time    // until counts from here, by the monotonic clock
	until  atomic.Int64 // the end of the proof, in nanoseconds
	expiry *time.Timer
	keeper sync.WaitGroup
}

// grant makes a lease and begins to keep it.
func (x *Exclusive) grant(ctx context.Context) (*lease, error) {
	l := &lease{x: x, epoch: time.Now()}
	requestCtx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	granted, err := x.etcd.Grant(requestCtx, int64(x.cfg.TTL/time.Second))
	if err != nil {
		return nil, fmt.Errorf("grant a lease: %w", err)
	}
	l.id = granted.ID
	l.Context, l.cancel = context.WithCancelCause(ctx)
	l.kept, l.drop = context.WithCancelCause(context.WithoutCancel(ctx))
	l.until.Store(int64(proofOf(time.Duration(granted.TTL) * time.Second)))
	l.expiry = time.AfterFunc(l.left(), l.expire)
	l.keeper.Go(l.keep)
	return l, nil
}

// proofOf is how long a lease can be relied on: a tenth less than its TTL, since no two clocks run alike, and since fn needs a moment to stop.
func proofOf(ttl time.Duration) time.Duration { return ttl - ttl/10 }

func (l *lease) left() time.Duration { return time.Duration(l.until.Load()) - time.Since(l.epoch) }

// expire ends the lease's context if its time has come. It is asked by a timer, and by whoever asks the context: in a process that was
// stopped and goes on, fn may come to run before the timer does.
func (l *lease) expire() {
	if left := l.left(); left <= 0 {
		l.lose("its lease was not renewed in time")
	} else {
		l.expiry.Reset(left)
	}
}

func (l *lease) lose(why string) { l.stop(fmt.Errorf("%w: %s", ErrLost, why)) }

func (l *lease) stop(cause error) {
	l.drop(cause) // first, since fn may return the moment that its context ends, and is to be known to have lost by then
	l.cancel(cause)
}

// lost is why the lease was lost, if it was.
func (l *lease) lost() error {
	if l.left() <= 0 {
		l.expire()
	}
	if cause := context.Cause(l.kept); errors.Is(cause, ErrLost) {
		return cause
	}
	return nil
}

func (l *lease) Done() <-chan struct{} {
	if l.left() <= 0 {
		l.expire()
	}
	return l.Context.Done()
}

func (l *lease) Err() error {
	if l.left() <= 0 {
		l.expire()
	}
	return l.Context.Err()
}

// keep renews the lease until it is lost or let go.
func (l *lease) keep() {
	err := keepalive.Lease{
		Client: l.x.etcd, ID: l.id, TTL: l.x.cfg.TTL,
		Retry: backoff.Policy{Base: again.Base, Max: l.x.cfg.TTL / 20},
		Alive: func(sent time.Time, ttl time.Duration) {
			l.until.Store(int64(sent.Sub(l.epoch) + proofOf(ttl)))
			l.expiry.Reset(l.left())
		},
	}.Run(l.kept)
	if errors.Is(err, keepalive.ErrGone) {
		l.lose("its lease has expired or was revoked")
	}
}

// end stops relying on the lease and renewing it.
func (l *lease) end() {
	l.stop(errReleased)
	l.keeper.Wait()
	l.expiry.Stop()
}

// revoke ends the lease in etcd, and with it its key, so that the next in the queue has its turn at once. The caller waits a second for it,
// however its context stands. While etcd does not answer it is tried on in the background: leases outlive an outage of etcd, and begin anew after it.
func (l *lease) revoke() {
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context))
	unhook := context.AfterFunc(l.x.life, cancel)
	release := func() {
		unhook()
		cancel()
	}
	soon, enough := context.WithTimeout(ctx, revokeTimeout)
	defer enough()
	if l.revokeWithin(soon) {
		release()
		return
	}
	l.x.releasing.Go(func() {
		defer release()
		l.revokeWithin(ctx)
	})
}

// revokeWithin tries until ctx ends. It tells whether there is nothing left to try.
func (l *lease) revokeWithin(ctx context.Context) bool {
	for failures := 1; ; failures++ {
		requestCtx, cancel := context.WithTimeout(ctx, requestTimeout)
		_, err := l.x.etcd.Revoke(requestCtx, l.id)
		cancel()
		if err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound) || refusal.Of(err) != nil {
			return true
		}
		if !backoff.Wait(ctx, again.Delay(failures)) {
			return false
		}
	}
}
