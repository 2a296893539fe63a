package exclusive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/metadata"

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

// acquire waits for its turn, through outages of etcd too, until ctx ends. With once it gives up on what etcd refuses for good.
func (x *Exclusive) acquire(ctx context.Context, kind, name string, once bool) (*holder, error) {
	if name == "" {
		return nil, errors.New("the name is empty")
	}
	reported := false
	for failures := 1; ; failures++ {
		h, err := x.attempt(ctx, x.folder(kind, name))
		if err == nil {
			if reported {
				x.log.Info("etcd answers again", zap.String(kind, name))
			}
			return h, nil
		}
		switch {
		case ctx.Err() != nil:
			return nil, waitEnded(ctx, err)
		case once && isRefusal(err):
			return nil, err
		case !reported && !errors.Is(err, ErrLost):
			x.log.Warn("waiting for etcd", zap.String(kind, name), zap.Error(err))
			reported = true
		}
		backoff.Wait(ctx, again.Delay(failures))
	}
}

// waitEnded is the error of a wait that its context ended; last is what it waited with. Both the context's error and its cause can be matched.
func waitEnded(ctx context.Context, last error) error {
	err := context.Cause(ctx)
	if !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if errors.Is(last, context.Cause(ctx)) || errors.Is(last, context.Canceled) || errors.Is(last, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w; last: %w", err, last)
}

// attempt queues once, with a lease of its own: then two Locks of one process are two, and nothing is shared that one could lose for the other.
func (x *Exclusive) attempt(ctx context.Context, folder string) (*holder, error) {
	l, err := x.grant(ctx)
	if err != nil {
		return nil, err
	}
	h := &holder{x: x, lease: l, key: fmt.Sprintf("%s%016x", folder, l.id)}
	if err := h.queue(folder); err != nil {
		l.end()
		x.releasing.Go(l.revoke) // whose caller may have no time left for it
		return nil, err
	}
	return h, nil
}

// queue puts the key into the folder, and returns when it is the oldest there. Each look is one transaction that also proves that the
// key still exists: a campaign that is won without that may have been won with a lease that is gone.
func (h *holder) queue(folder string) error {
	done, err := h.commit(
		clientv3.Compare(clientv3.CreateRevision(h.key), "=", 0),
		clientv3.OpPut(h.key, identity(), clientv3.WithLease(h.lease.id)),
		clientv3.OpGet(folder, clientv3.WithPrefix(), clientv3.WithKeysOnly(),
			clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend), clientv3.WithLimit(1)),
	)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	revision := done.Header.Revision
	h.seen = revision
	h.term = Term{Revision: revision, Guard: clientv3.Compare(clientv3.CreateRevision(h.key), "=", revision)}
	if first := done.Responses[1].GetResponseRange().Kvs[0]; string(first.Key) == h.key {
		return nil
	}
	before := append(clientv3.WithLastCreate(), clientv3.WithKeysOnly(), clientv3.WithMaxCreateRev(revision-1))
	for failures := 1; ; {
		done, err := h.commit(h.term.Guard, clientv3.OpGet(folder, before...))
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		h.seen = done.Header.Revision
		ahead := done.Responses[0].GetResponseRange().Kvs
		if len(ahead) == 0 {
			return nil
		}
		// Woken by the end of the one ahead; else by the clock, since a watch can be silent for other reasons.
		ctx, cancel := context.WithTimeout(h.lease, h.x.cfg.TTL)
		err = h.x.awaitDelete(ctx, string(ahead[0].Key), done.Header.Revision)
		timedOut := ctx.Err() != nil
		cancel()
		if h.lease.Err() != nil {
			return context.Cause(h.lease)
		}
		if err != nil && !timedOut {
			backoff.Wait(h.lease, again.Delay(failures))
			failures++
		}
	}
}

// commit is a bounded transaction; that its condition does not hold is errKeyGone.
func (h *holder) commit(condition clientv3.Cmp, ops ...clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(h.lease, requestTimeout)
	defer cancel()
	done, err := h.x.etcd.Txn(ctx).If(condition).Then(ops...).Commit()
	if err == nil && !done.Succeeded {
		err = errKeyGone
	}
	if err != nil && h.lease.Err() != nil {
		err = context.Cause(h.lease)
	}
	return done, err
}

// guardKey ends the lease's context when somebody deletes the key, until that ends for another reason. A watch that fails proves
// nothing: then the key itself is looked at. If that is not possible either, the lease's own end decides.
func (h *holder) guardKey() {
	for failures := 1; h.lease.Err() == nil; failures++ {
		if h.x.awaitDelete(h.lease, h.key, h.seen) == nil {
			h.lease.lose("its key was deleted")
			return
		}
		backoff.Wait(h.lease, again.Delay(failures))
		done, err := h.commit(h.term.Guard)
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
		ctx = metadata.AppendToOutgoingContext(ctx, "fxetcd-watch", key)
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

// isRefusal tells of an error that waiting does not cure.
func isRefusal(err error) bool {
	for _, refusal := range []error{
		rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrAuthFailed,
		rpctypes.ErrAuthNotEnabled, rpctypes.ErrPermissionNotGranted,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}
