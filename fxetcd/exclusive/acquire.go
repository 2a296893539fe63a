package exclusive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/metadata"

	"github.com/fxkit/fxkit/fxetcd/internal/outage"
	"github.com/fxkit/fxkit/fxetcd/internal/refusal"
	"github.com/fxkit/fxkit/internal/backoff"
)

const (
	requestTimeout = 5 * time.Second
	revokeTimeout  = time.Second
)

// again is how attempts are spaced while etcd does not do what it is asked.
var again = backoff.Policy{Base: 50 * time.Millisecond, Max: 2 * time.Second}

var (
	errReleased = errors.New("released")
	// errOver is that a wait has ended while nothing was asked: nobody is to blame.
	errOver = errors.New("the wait is over")
	// errKeyGone leaves open how: the end of a lease deletes its key, and the news of that is often the first.
	errKeyGone = fmt.Errorf("%w: its key was deleted: by hand, or with its lease, which expired or was revoked", ErrLost)
)

// A holder has its turn: its key is the oldest of the folder.
type holder struct {
	x      *Exclusive
	lease  *lease
	folder string
	key    string
	term   Term
	seen   int64  // the revision at which the key was last known to be there
	oldest string // who had the name then; its own key if nobody is known to
}

// A wait is one call of acquire.
type wait struct {
	x          *Exclusive
	kind, name string
	reported   bool   // that etcd does not do what it is asked
	last       error  // why not; nil after an answer
	holder     string // who had the name then, if that is known
}

// acquire waits for its turn, through outages of etcd too, until ctx ends. With once it gives up on what etcd refuses for good.
func (x *Exclusive) acquire(ctx context.Context, kind, name string, once bool) (*holder, error) {
	w := &wait{x: x, kind: kind, name: name}
	for failures := 1; ctx.Err() == nil; failures++ {
		h, err := w.attempt(ctx)
		switch {
		case err == nil:
			return h, nil
		case x.etcd.Ctx().Err() != nil:
			return nil, fmt.Errorf("%w: the etcd client is closed", ErrStopped)
		case once && refusal.Of(err) != nil:
			return nil, err
		}
		w.failed(ctx, err)
		backoff.Wait(ctx, again.Delay(failures))
	}
	return nil, w.ended(ctx)
}

// failed takes note of why etcd did not do what it was asked, and logs the first of an outage. That a place in the queue was lost is no reason.
func (w *wait) failed(ctx context.Context, err error) {
	if errors.Is(err, ErrLost) || errors.Is(err, errOver) {
		return
	}
	if reason := outage.Reason(err); reason != nil {
		w.last = reason
	}
	if ctx.Err() == nil && !w.reported {
		w.x.log.Warn("waiting for etcd", zap.String(w.kind, w.name), zap.Error(err))
		w.reported = true
	}
}

// answered takes note of whose the oldest key is, as far as that is known.
func (w *wait) answered(oldest, identity string) {
	w.last, w.holder = nil, identity
	if identity == "" && oldest != "" {
		w.holder = fmt.Sprintf("the owner of key %q", oldest)
	}
	if w.reported {
		w.x.log.Info("etcd answers again", zap.String(w.kind, w.name))
		w.reported = false
	}
}

// ended is the error of a wait that its context has ended: because of etcd, or while somebody had the name.
func (w *wait) ended(ctx context.Context) error {
	err := outage.Ended(ctx, w.last)
	if w.last == nil && w.holder != "" {
		err = fmt.Errorf("held by %s: %w", w.holder, err)
	}
	return err
}

// attempt queues once, with a lease of its own: then two Locks of one process are two, and nothing is shared that one could lose for the other.
func (w *wait) attempt(ctx context.Context) (*holder, error) {
	l, err := w.x.grant(ctx)
	if err != nil {
		return nil, err
	}
	folder := w.x.folder(w.kind, w.name)
	h := &holder{x: w.x, lease: l, folder: folder, key: fmt.Sprintf("%s%016x", folder, l.id)}
	first, err := h.join(w)
	if err == nil && !first {
		err = h.await(w)
	}
	if err != nil {
		if lost := l.lost(); lost != nil {
			err = lost // and with it the place; the request that ended for that reason says less
		}
		l.end()
		w.x.releasing.Go(l.revoke) // whose caller may have no time left for it
		return nil, err
	}
	return h, nil
}

// commit is a bounded transaction; that its condition does not hold is errKeyGone.
func (h *holder) commit(ctx context.Context, condition clientv3.Cmp, ops ...clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	done, err := h.x.etcd.Txn(ctx).If(condition).Then(ops...).Commit()
	if err == nil && !done.Succeeded {
		err = errKeyGone
	}
	return done, err
}

// guardKey says that the lease is lost when somebody deletes the key, until it is let go. A watch that fails proves
// nothing: then the key itself is looked at. If that is not possible either, the lease's own end decides.
func (h *holder) guardKey() {
	kept := h.lease.kept
	for failures := 1; kept.Err() == nil; failures++ {
		if h.x.awaitDelete(kept, h.key, h.seen) == nil {
			h.lease.stop(errKeyGone)
			return
		}
		backoff.Wait(kept, again.Delay(failures))
		done, err := h.commit(kept, h.term.Guard)
		switch {
		case err == nil:
			h.seen, failures = done.Header.Revision, 0
		case errors.Is(err, errKeyGone):
			h.lease.stop(errKeyGone)
		}
	}
}

// awaitDelete returns nil when key was deleted after revision, or the reason why it cannot tell.
func (x *Exclusive) awaitDelete(ctx context.Context, key string, revision int64) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	if x.etcd.Username != "" {
		// A watch joins the stream of others with equal metadata, and with it the age of that stream's token: a new one on an old stream
		// is refused. With metadata of its own it gets a stream of its own.
		ctx = metadata.AppendToOutgoingContext(ctx, "fxkit-exclusive", url.QueryEscape(key))
	}
	for response := range x.etcd.Watch(ctx, key, clientv3.WithRev(revision+1), clientv3.WithFilterPut()) {
		if err := response.Err(); err != nil {
			return err
		}
		if len(response.Events) > 0 {
			return nil
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return errors.New("the watch ended")
}

// identity is what a key's value says to people who look: which process it is.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}
