package fxbackground

import (
	"container/heap"
	"fmt"
	"sync"
	"time"
)

// Phases of a Runner (kept in each of its shards) and of a Group. They only ever go forward.
type phase uint8

const (
	open     phase = iota
	draining       // only running tasks submit
	cut            // the drain ran out of time: nobody submits, what waits for a place is dropped
)

// A shard holds a part of a Runner's tasks behind one lock. A Runner without limits has several, so that producers
// and finishing tasks rarely meet. A Runner with limits has one, and its lock is the limiter: to count, to queue and
// to hand a place on is one critical section, and no channel or semaphore stands beside it.
//
// A Group has all its tasks in one shard.
type shard struct {
	index   int
	mu      sync.Mutex
	phase   phase
	tasks   list
	loops   int        // supervised loops among tasks
	dropped []TaskInfo // what waited for a place when the Runner's drain ran out of time
	order   uint64     // of the last task that had to wait
	counts  counts

	limit, queueLimit int       // 0: none
	ready             readyHeap // groups with a task that waits for nothing but a place in the Runner

	_ [64]byte // shards stand side by side in an array: keep each lock on a cache line of its own
}

// counts are Stats without its lock-free copy; those of a shard and of a Group are guarded by the shard's lock.
type counts = Stats

// admit takes in a task that may be submitted: it starts (the caller then runs it) or waits for a place.
func (s *shard) admit(t *task, now time.Duration) (start bool, err error) {
	g := t.group
	if s.limit > 0 && s.counts.Running >= int64(s.limit) || g.full() {
		if err := s.roomToWait(g); err != nil {
			return false, err
		}
		s.order++
		t.order = s.order
		s.enqueue(t)
		t.state = taskQueued
	} else {
		t.state, t.started = taskRunning, now
		s.counts.Running++
		if g.shard != nil {
			g.counts.Running++
		}
		start = true
	}
	s.tasks.push(t)
	s.counts.Submitted++
	if g.shard != nil {
		g.counts.Submitted++
	}
	if s.phase != open {
		g.runner.live.Add(1)
	}
	return start, nil
}

func (s *shard) roomToWait(g *Group) error {
	if s.queueLimit > 0 && s.counts.Queued >= int64(s.queueLimit) {
		return fmt.Errorf("%w (%s)", ErrQueueFull, plural(s.queueLimit, "waiting task"))
	}
	if g.queueLimit > 0 && g.counts.Queued >= int64(g.queueLimit) {
		return fmt.Errorf("%w (%s in group %q)", ErrQueueFull, plural(g.queueLimit, "waiting task"), g.name)
	}
	return nil
}

// leave takes out a task that has ended, and returns the one that gets its place, already counted as running.
func (s *shard) leave(t *task, err error) *task {
	g := t.group
	r := g.runner
	var now time.Duration
	if g.shard != nil {
		now = r.clock()
	}
	s.mu.Lock()
	s.tasks.remove(t)
	t.state, t.fn = taskEnded, nil
	late := t.abandoned
	s.counts.ended(err)
	if g.shard != nil {
		g.counts.ended(err)
	}
	next := s.promote(g, now)
	drained := s.phase != open && r.live.Add(-1) == 0
	g.checkIdle()
	s.mu.Unlock()
	if late {
		r.log.Warn("fxbackground: task that was left behind has ended", t.fields()...)
	}
	if drained {
		close(r.drain.idle)
	}
	return next
}

// promote gives the place that a task of g has just left, in g and in the Runner, to a task that waits for no other.
// There is at most one: whatever could start before has started.
func (s *shard) promote(g *Group, now time.Duration) *task {
	if s.counts.Queued == 0 {
		return nil
	}
	if g.first != nil && !g.full() && g.heapIndex < 0 {
		heap.Push(&s.ready, g)
	}
	if len(s.ready) == 0 {
		return nil
	}
	g = s.ready[0]
	t := g.first
	g.first = t.behind
	t.behind = nil
	t.state, t.started = taskRunning, now
	s.counts.Queued--
	s.counts.Running++
	g.counts.Queued--
	g.counts.Running++
	if g.first == nil || g.full() {
		heap.Pop(&s.ready)
	} else if len(s.ready) > 1 {
		heap.Fix(&s.ready, 0)
	}
	return t
}

// enqueue puts t at the end of its group's queue.
func (s *shard) enqueue(t *task) {
	g := t.group
	if g.first == nil {
		g.first = t
	} else {
		g.last.behind = t
	}
	g.last = t
	s.counts.Queued++
	g.counts.Queued++
	if g.heapIndex < 0 && !g.full() {
		heap.Push(&s.ready, g)
	}
}

// drop takes out a task that waits, for good, and with it, sooner or later, all that wait in its group.
func (s *shard) drop(t *task) {
	g := t.group
	s.tasks.remove(t)
	t.state, t.fn = taskEnded, nil
	g.first, g.last, g.heapIndex = nil, nil, -1
	s.counts.Queued--
	s.counts.Abandoned++
	g.counts.Queued--
	g.counts.Abandoned++
	if g != &g.runner.root {
		g.dropped = append(g.dropped, t.info())
	}
	g.checkIdle()
}

func (c *counts) ended(err error) {
	c.Running--
	switch err.(type) {
	case nil:
		c.Succeeded++
	case *PanicError:
		c.Panicked++
	default:
		c.Failed++
	}
}

// list is an intrusive, doubly linked list of tasks, in order of submission.
type list struct{ first, last *task }

func (l *list) push(t *task) {
	t.prev = l.last
	if l.last == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
}

func (l *list) remove(t *task) {
	if t.prev == nil {
		l.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}

// readyHeap orders groups by how early their first waiting task was submitted.
type readyHeap []*Group

func (h readyHeap) Len() int           { return len(h) }
func (h readyHeap) Less(i, j int) bool { return h[i].first.order < h[j].first.order }
func (h readyHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

func (h *readyHeap) Push(x any) {
	g := x.(*Group)
	g.heapIndex = len(*h)
	*h = append(*h, g)
}

func (h *readyHeap) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	g.heapIndex = -1
	return g
}
