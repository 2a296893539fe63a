package exclusive

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/internal/refusal"
	"github.com/fxkit/fxkit/internal/backoff"
)

// join puts the key into the folder, and tells whether it is the first there.
func (h *holder) join(w *wait) (first bool, err error) {
	done, err := h.commit(h.lease,
		clientv3.Compare(clientv3.CreateRevision(h.key), "=", 0),
		clientv3.OpPut(h.key, identity(), clientv3.WithLease(h.lease.id)),
		h.list(clientv3.SortAscend, 1),
	)
	if err != nil {
		return false, h.explain(err)
	}
	h.seen = done.Header.Revision
	h.term = Term{Revision: h.seen, Guard: clientv3.Compare(clientv3.CreateRevision(h.key), "=", h.seen)}
	oldest, _ := h.place(done.Responses[1])
	h.oldest = cmp.Or(oldest, h.key)
	w.answered(oldest, "")
	return oldest == h.key, nil
}

// await returns when the key is the oldest of the folder. Each look is one transaction that also proves that the key still exists: a
// campaign that is won without that may have been won with a lease that is gone. A look that fails costs nobody his place, as long as the lease lives.
//
// It looks when the one ahead has gone, and else by the clock, since a watch can be silent for other reasons.
func (h *holder) await(w *wait) error {
	var ahead predecessor
	defer ahead.leave()
	limit := int64(1) // more only where keys that are no places stand in the way
	for failures := 1; h.lease.Err() == nil; {
		done, err := h.commit(h.lease, h.term.Guard,
			h.list(clientv3.SortDescend, limit, clientv3.WithMaxCreateRev(h.term.Revision-1)),
			h.list(clientv3.SortAscend, limit),
			clientv3.OpGet(h.oldest),
		)
		switch {
		case err == nil:
		case h.lease.Err() != nil, errors.Is(err, errKeyGone), refusal.Of(err) != nil:
			return h.explain(err)
		default:
			w.failed(h.lease, h.explain(err))
			backoff.Wait(h.lease, again.Delay(failures))
			failures++
			continue
		}
		h.seen = done.Header.Revision
		h.recognize(w, done.Responses[1], done.Responses[2])
		key, more := h.place(done.Responses[0])
		switch {
		case key == "" && more:
			limit *= 2
			continue
		case key == "":
			return nil
		case key != ahead.key:
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
	return errOver
}

// list is the folder's keys, as many as limit, in the order in which they came or from the last.
func (h *holder) list(order clientv3.SortOrder, limit int64, opts ...clientv3.OpOption) clientv3.Op {
	return clientv3.OpGet(h.folder, append(opts, clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithSort(clientv3.SortByCreateRevision, order), clientv3.WithLimit(limit))...)
}

// place is the first key of a list that is a place in the queue, and whether there are more than the list has. A place is named for its lease and
// nothing else. Whatever else is below the folder, such as a note that somebody has left or the folders of another namespace, keeps nobody waiting.
func (h *holder) place(list *pb.ResponseOp) (key string, more bool) {
	found := list.GetResponseRange()
	for _, kv := range found.Kvs {
		name := strings.TrimPrefix(string(kv.Key), h.folder)
		if len(name) == len("0000000000000000") && strings.Trim(name, "0123456789abcdef") == "" {
			return string(kv.Key), found.More
		}
	}
	return "", found.More
}

// recognize takes note of who has the name. The value that says so is that of the key which was the oldest at the look before: to ask for it by its
// own name keeps values that are no place's, and may be large, out of the answer.
func (h *holder) recognize(w *wait, list, value *pb.ResponseOp) {
	oldest, _ := h.place(list)
	identity := ""
	if kvs := value.GetResponseRange().Kvs; oldest == h.oldest && len(kvs) > 0 {
		identity = string(kvs[0].Value)
	}
	w.answered(oldest, identity)
	h.oldest = cmp.Or(oldest, h.key)
}

// explain says of a refusal what it is about.
func (h *holder) explain(err error) error {
	if errors.Is(refusal.Of(err), rpctypes.ErrPermissionDenied) {
		return fmt.Errorf("queue: %w: the client's user needs permission to read and write (readwrite) the prefix %q", err, h.folder)
	}
	return fmt.Errorf("queue: %w", err)
}
