package exclusive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/metadata"

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
	errKeyGone  = fmt.Errorf("%w: its key was deleted", ErrLost)
)

// A holder has its turn: its key is the oldest of the folder.
type holder struct {
	x     *Exclusive
	lease *lease
	key   string
	term  Term
	seen  int64 // the revision at which the key was last known to be there
}

// A wait is one call of acquire.
type wait struct {
	x          *Exclusive
	kind, name string
	reported   bool  // that etcd does not do what it is asked
	last       error // that said more than that a context has ended
}

// acquire waits for its turn, through outages of etcd too, until ctx ends. With once it gives up on what etcd refuses for good.
func (x *Exclusive) acquire(ctx context.Context, kind, name string, once bool) (*holder, error) {
	if name == "" {
		return nil, errors.New("the name is empty")
	}
	w := &wait{x: x, kind: kind, name: name}
	for failures := 1; ; failures++ {
		h, err := w.attempt(ctx)
		switch {
		case err == nil:
			return h, nil
		case x.etcd.Ctx().Err() != nil:
			return nil, fmt.Errorf("%w: the etcd client is closed", ErrStopped)
		case ctx.Err() != nil:
			w.failed(ctx, err)
			return nil, w.ended(ctx)
		case once && refusal.Of(err) != nil:
			return nil, err
		}
		w.failed(ctx, err)
		backoff.Wait(ctx, again.Delay(failures))
	}
}

// failed takes note of an error, and logs the first of an outage.
func (w *wait) failed(ctx context.Context, err error) {
	if !errors.Is(err, context.Cause(ctx)) && !saysNothing(err) {
		w.last = err
	}
	if ctx.Err() == nil && !w.reported && !errors.Is(err, ErrLost) {
		w.x.log.Warn("waiting for etcd", zap.String(w.kind, w.name), zap.Error(err))
		w.reported = true
	}
}

func (w *wait) answered() {
	w.last = nil
	if w.reported {
		w.x.log.Info("etcd answers again", zap.String(w.kind, w.name))
		w.reported = false
	}
}

// saysNothing tells of an error that ends in a context's: what comes after it, with some clients, is why there was no answer in time.
func saysNothing(err error) bool {
	text := err.Error()
	return strings.HasSuffix(text, context.Canceled.Error()) || strings.HasSuffix(text, context.DeadlineExceeded.Error())
}

// ended is the error of a wait that its context has ended. Both the context's error and its cause can be matched.
func (w *wait) ended(ctx context.Context) error {
	err := context.Cause(ctx)
	if !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if w.last != nil {
		err = fmt.Errorf("%w; last: %w", err, w.last)
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
	h := &holder{x: w.x, lease: l, key: fmt.Sprintf("%s%016x", folder, l.id)}
	first, err := h.queue(folder)
	if err == nil {
		w.answered()
		if !first {
			err = h.await(folder, w)
		}
	}
	if err != nil {
		l.end()
		w.x.releasing.Go(l.revoke) // whose caller may have no time left for it
		return nil, err
	}
	return h, nil
}

// queue puts the key into the folder, and tells whether it is the first there.
func (h *holder) queue(folder string) (first bool, err error) {
	done, err := h.commit(h.lease,
		clientv3.Compare(clientv3.CreateRevision(h.key), "=", 0),
		clientv3.OpPut(h.key, identity(), clientv3.WithLease(h.lease.id)),
		clientv3.OpGet(folder, clientv3.WithPrefix(), clientv3.WithKeysOnly(),
			clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend), clientv3.WithLimit(1)),
	)
	if err != nil {
		return false, fmt.Errorf("queue: %w", err)
	}
	h.seen = done.Header.Revision
	h.term = Term{Revision: h.seen, Guard: clientv3.Compare(clientv3.CreateRevision(h.key), "=", h.seen)}
	return string(done.Responses[1].GetResponseRange().Kvs[0].Key) == h.key, nil
}

// await returns when the key is the oldest of the folder. Each look is one transaction that also proves that the key still exists: a
// campaign that is won without that may have been won with a lease that is gone. A look that fails costs nobody his place, as long as the lease lives.
//
// It looks when the one ahead has gone, and else by the clock, since a watch can be silent for other reasons.
func (h *holder) await(folder string, w *wait) error {
	before := append(clientv3.WithLastCreate(), clientv3.WithKeysOnly(), clientv3.WithMaxCreateRev(h.term.Revision-1))
	var ahead predecessor
	defer ahead.leave()
	for failures := 1; ; {
		done, err := h.commit(h.lease, h.term.Guard, clientv3.OpGet(folder, before...))
		switch {
		case h.lease.Err() != nil, errors.Is(err, errKeyGone), refusal.Of(err) != nil:
			return fmt.Errorf("queue: %w", err)
		case err != nil:
			w.failed(h.lease, err)
			backoff.Wait(h.lease, again.Delay(failures))
			failures++
			continue
		}
		w.answered()
		h.seen = done.Header.Revision
		kvs := done.Responses[0].GetResponseRange().Kvs
		if len(kvs) == 0 {
			return nil
		}
		if key := string(kvs[0].Key); key != ahead.key {
			ahead.leave()
			ahead.follow(h, key)
		}
		if ahead.wait(h.lease, h.x.cfg.TTL) == nil {
			failures = 1
			continue
		}
		backoff.Wait(h.lease, again.Delay(failures))
		failures++
	}
}

// commit is a bounded transaction; that its condition does not hold is errKeyGone.
func (h *holder) commit(ctx context.Context, condition clientv3.Cmp, ops ...clientv3.Op) (*clientv3.TxnResponse, error) {
	requestCtx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	done, err := h.x.etcd.Txn(requestCtx).If(condition).Then(ops...).Commit()
	if err == nil && !done.Succeeded {
		err = errKeyGone
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return done, err
}

// guardKey says that the lease is lost when somebody deletes the key, until it is let go. A watch that fails proves
// nothing: then the key itself is looked at. If that is not possible either, the lease's own end decides.
func (h *holder) guardKey() {
	kept := h.lease.kept
	for failures := 1; kept.Err() == nil; failures++ {
		if h.x.awaitDelete(kept, h.key, h.seen) == nil {
			h.lease.lose("its key was deleted")
			return
		}
		backoff.Wait(kept, again.Delay(failures))
		done, err := h.commit(kept, h.term.Guard)
		switch {
		case err == nil:
			h.seen, failures = done.Header.Revision, 0
		case errors.Is(err, errKeyGone):
			h.lease.lose("its key was deleted")
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
