package watch

import (
	"slices"
	"sort"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// How much is kept for those who are behind: of the prefix's latest changes, in the queue of a consumer, and of what
// a watch delivers before it has proven itself. Whichever is reached first counts.
const (
	maxEvents = 1024
	maxBytes  = 4 << 20
)

// history is the latest changes of a prefix, so that whoever resumes after a recent revision needs nothing from the server.
type history struct {
	batches      []*batch // of single revisions, in order
	floor        int64    // the history holds all changes after this revision
	events, size int
}

// restart forgets everything: what led to revision is not known.
func (h *history) restart(revision int64) { *h = history{floor: revision} }

func (h *history) add(b *batch) {
	h.batches = append(h.batches, b)
	h.events += len(b.events)
	h.size += b.size
	drop := 0
	for h.events > maxEvents || h.size > maxBytes {
		old := h.batches[drop]
		h.events -= len(old.events)
		h.size -= old.size
		h.floor = old.revision
		drop++
	}
	h.batches = slices.Delete(h.batches, 0, drop)
}

// since is all changes after a revision that is not below the floor, up to and including another.
func (h *history) since(revision, until int64) []*batch {
	after := func(r int64) int {
		return sort.Search(len(h.batches), func(i int) bool { return h.batches[i].revision > r })
	}
	return slices.Clone(h.batches[after(revision):after(until)])
}

// prepend extends the history downwards by older changes: all those after revision, up to and including until. If they do not reach the
// floor, or are too many, it changes nothing.
func (h *history) prepend(older []*batch, revision, until int64) {
	events, size := h.events, h.size
	cut := sort.Search(len(older), func(i int) bool { return older[i].revision > h.floor })
	older = older[:cut]
	for _, b := range older {
		events += len(b.events)
		size += b.size
	}
	if revision < h.floor && until >= h.floor && events <= maxEvents && size <= maxBytes {
		h.batches = append(slices.Clone(older), h.batches...)
		h.floor, h.events, h.size = revision, events, size
	}
}

// backlog is responses that wait.
type backlog struct {
	responses    []clientv3.WatchResponse
	events, size int
}

func (l *backlog) add(r clientv3.WatchResponse) {
	l.responses = append(l.responses, r)
	l.events += len(r.Events)
	for _, e := range r.Events {
		l.size += len(e.Kv.Key) + len(e.Kv.Value)
	}
}

func (l *backlog) full() bool { return l.events > maxEvents || l.size > maxBytes }
