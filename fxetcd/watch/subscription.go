package watch

import (
	"cmp"
	"slices"
	"sync"
)

// subscription is what one consumer has not yet seen.
//
// It is a queue as long as the consumer keeps up. A queue that grows too long is folded into the latest change of each key: at most
// one for each key that the consumer knows or that exists, however long it stays away. The consumer gets those as one change set.
type subscription struct {
	start int64 // the revision to resume after; -1: start with a snapshot
	seen  int   // events of the revision after start that the consumer has; until something was pushed
	marks bool  // wants to be told of revisions without changes
	wake  chan struct{}

	mu       sync.Mutex
	left     bool
	behind   *gap // what happened before the queue begins
	queue    []*batch
	events   int
	size     int
	pending  map[string]change // not nil: instead of the queue
	diverged bool              // pending leads to another history of the server
	order    int
	reset    *Event // not nil: before pending
	revision int64
	refusal  error // told last, and not over
	err      error // to be told next
	end      error // nothing follows after it
}

// change is the latest of a key. The consumer knows the key if it has it already, from before the first change that was folded.
type change struct {
	event Event
	known bool
	order int
}

func newSubscription(start int64, seen int) *subscription {
	return &subscription{start: start, seen: seen, wake: make(chan struct{}, 1)}
}

func (s *subscription) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscription) push(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.marks {
		if b = s.unseen(b); len(b.events) == 0 {
			return
		}
	}
	if s.pending == nil && len(s.queue) > 0 && (s.events+len(b.events) > maxEvents || s.size+b.size > maxBytes) {
		s.pending = map[string]change{}
		for _, queued := range s.queue {
			s.fold(queued)
		}
		s.queue, s.events, s.size = nil, 0, 0
	}
	if s.pending != nil {
		s.fold(b)
	} else {
		s.enqueue(b)
	}
	s.notify()
}

// unseen is the first batch without what the consumer has.
func (s *subscription) unseen(b *batch) *batch {
	n := s.seen
	s.seen = 0
	if b.revision != s.start+1 {
		return b
	}
	return b.without(n)
}

// enqueue keeps at most one mark, a batch without events, at the end of the queue.
func (s *subscription) enqueue(b *batch) {
	if last := len(s.queue) - 1; last >= 0 && len(s.queue[last].events) == 0 {
		s.queue[last] = b
	} else {
		s.queue = append(s.queue, b)
	}
	s.events += len(b.events)
	s.size += b.size
}

func (s *subscription) fold(b *batch) {
	if b.diverged {
		s.diverge()
	}
	for i, e := range b.events {
		old, folded := s.pending[e.Key]
		s.order++
		switch e.Type {
		case Put:
			known := !b.creates[i]
			if folded {
				known = old.known
			}
			s.pending[e.Key] = change{e, known, s.order}
		case Delete:
			if folded && !old.known {
				delete(s.pending, e.Key)
			} else {
				s.pending[e.Key] = change{e, true, s.order}
			}
		case Reset:
			clear(s.pending)
			s.reset = &e
		case Synced:
		}
	}
	s.revision = b.revision
}

// diverge prepares what is pending for what another history of the server has instead, as state.replace does: the revisions of deletes are
// none of that, and the puts that it does not replace are those that it has too.
func (s *subscription) diverge() {
	s.diverged = true
	for key, c := range s.pending {
		if c.event.Type == Delete {
			c.event.Revision = 0
			s.pending[key] = c
		}
	}
}

// unfold is what is pending as a change set, in the order in which it happened, as far as that was in one history of the server.
func (s *subscription) unfold() *batch {
	b := &batch{set: true, diverged: s.diverged, revision: s.revision}
	if s.reset != nil {
		b.add(*s.reset, false)
	}
	changes := make([]change, 0, len(s.pending))
	for _, c := range s.pending {
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(x, y change) int {
		if s.diverged {
			return cmp.Or(cmp.Compare(x.event.Revision, y.event.Revision), cmp.Compare(x.order, y.order))
		}
		return cmp.Compare(x.order, y.order)
	})
	for _, c := range changes {
		b.add(c.event, !c.known)
	}
	b.add(Event{Type: Synced, Revision: s.revision}, false)
	s.pending, s.diverged, s.reset, s.order = nil, false, nil, 0
	return b
}

// restart replaces all that the consumer has not seen, since what it has seen no longer leads there.
func (s *subscription) restart(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.events, s.size, s.pending, s.diverged, s.reset, s.behind, s.seen = nil, 0, 0, nil, false, nil, nil, 0
	s.enqueue(b)
	s.notify()
}

// report tells the consumer of a refusal, after which more may come, once until it is another one or over.
func (s *subscription) report(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil && s.refusal.Error() == err.Error() {
		return
	}
	s.refusal, s.err = err, err
	s.notify()
}

// allow says that a refusal is over.
func (s *subscription) allow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal, s.err = nil, nil
}

// finish tells the consumer why nothing more comes.
func (s *subscription) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = err
	s.notify()
}

// take is the next batch, or an error to tell, or the gap to fill first. All are nil if there is nothing yet.
func (s *subscription) take() (*batch, *gap, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.behind != nil && s.end == nil && s.err == nil:
		return nil, s.behind, nil
	case s.behind != nil && s.end != nil:
		return nil, nil, s.end
	case s.pending != nil && s.behind == nil:
		return s.unfold(), nil, nil
	case len(s.queue) > 0 && s.behind == nil:
		b := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.events -= len(b.events)
		s.size -= b.size
		return b, nil, nil
	case s.err != nil:
		err := s.err
		s.err = nil
		return nil, nil, err
	default:
		return nil, nil, s.end
	}
}

// fallBehind puts a gap before the queue, and closeGap takes it away.
func (s *subscription) fallBehind(g *gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = g
	s.notify()
}

func (s *subscription) closeGap() { s.fallBehind(nil) }

func (s *subscription) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
}

func (s *subscription) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}
