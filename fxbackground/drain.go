package fxbackground

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fxkit/fxkit/internal/guard"
)

// A drain is the end of a Runner or a Group. It begins once and runs out of time at most once, however many callers
// of Drain wait for it, each with a context of its own.
type drain struct {
	began time.Time
	idle  chan struct{} // closed when no accepted task is left

	cutOnce sync.Once
	cutAt   time.Time
	late    chan struct{} // closed when the drain has run out of time
	told    chan struct{} // closed, after late, when the OnDone functions of dropped tasks have returned
}

func (d *drain) init() {
	d.idle, d.late, d.told = make(chan struct{}), make(chan struct{}), make(chan struct{})
}

// A drainee is a Runner or a Group.
type drainee interface {
	begin() *drain    // no more tasks but from tasks; idempotent
	cut() []*task     // cancel what runs, take out what waits
	left() []TaskInfo // what runs still, and what was taken out
	release()         // let go of contexts and of the way back to the Runner
}

// Drain waits for the accepted tasks, and for those that they submit meanwhile, for the configured timeout in total
// and never past ctx. Then it cancels what still runs, waits the configured grace, and returns a *DrainError that names
// what it leaves behind. Where that is nothing it returns nil. Supervised loops are cancelled at once and waited for
// with the tasks.
//
// A context with a deadline is left in time: the grace, or a tenth of what is left if that is less, is taken from
// the waiting, not added to it.
//
// While it drains, only running tasks may submit, with their own contexts; after it nobody may. Further calls wait
// for the same drain.
func (r *Runner) Drain(ctx context.Context) error {
	return drainWithin(ctx, r, r.cfg.Timeout, r.cfg.Grace)
}

// Drain is [Runner.Drain] for the tasks of this Group, with the Group's timeout and the Runner's grace. While it drains,
// only running tasks of this Group may submit to it.
func (g *Group) Drain(ctx context.Context) error {
	return drainWithin(ctx, g, time.Duration(g.timeout.Load()), g.runner.cfg.Grace)
}

func drainWithin(ctx context.Context, who drainee, timeout, grace time.Duration) error {
	d := who.begin()
	if !waitUntil(ctx, d.idle, d.late, waitingEnds(ctx, d.began, timeout, grace)) {
		d.runOut(who)
		end := graceEnds(ctx, d.cutAt, grace)
		_ = waitUntil(ctx, d.told, nil, end) && waitUntil(ctx, d.idle, nil, end)
	}
	left := who.left()
	who.release()

	if len(left) == 0 {
		return nil
	}
	return &DrainError{Abandoned: left, Waited: time.Since(d.began)}
}

// runOut is the moment at which the drain stops waiting for tasks to end by themselves.
func (d *drain) runOut(who drainee) {
	d.cutOnce.Do(func() {
		d.cutAt = time.Now()
		dropped := who.cut()
		close(d.late)
		if len(dropped) == 0 {
			close(d.told)
			return
		}
		go func() {
			defer close(d.told)
			for _, t := range dropped {
				t.neverRan()
			}
		}()
	})
}

// neverRan tells the OnDone functions of a task that its drain took it out of the queue.
func (t *task) neverRan() {
	if t.options == nil {
		return
	}
	// In a goroutine of its own, which an OnDone may end without keeping it from the next task.
	_ = guard.Within(context.Background(), func() error {
		t.done(t.options.onDone, fmt.Errorf("fxbackground: task %q never ran: %w", t.name, ErrDraining))
		return nil
	}, nil)
}

// waitingEnds is when a drain cancels what runs. Of a context's time it leaves the grace, or a tenth if that is less.
func waitingEnds(ctx context.Context, began time.Time, timeout, grace time.Duration) time.Time {
	end := after(began, timeout)
	if deadline, ok := ctx.Deadline(); ok {
		end = earlier(end, deadline.Add(-min(grace, time.Until(deadline)/10)))
	}
	return end
}

// graceEnds is when a drain leaves behind what still runs: a little before its context ends.
func graceEnds(ctx context.Context, cutAt time.Time, grace time.Duration) time.Time {
	end := after(cutAt, grace)
	if deadline, ok := ctx.Deadline(); ok {
		end = earlier(end, deadline.Add(-min(20*time.Millisecond, time.Until(deadline)/10)))
	}
	return end
}

// after is t plus d; the zero Time, which is never, if d is Infinite.
func after(t time.Time, d time.Duration) time.Time {
	if d == Infinite {
		return time.Time{}
	}
	return t.Add(d)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// waitUntil reports whether done was closed before end, before ctx ended and before late was closed.
func waitUntil(ctx context.Context, done, late <-chan struct{}, end time.Time) bool {
	var timeout <-chan time.Time
	if !end.IsZero() {
		timer := time.NewTimer(time.Until(end))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-done:
		return true
	default:
	}
	select {
	case <-done:
	case <-late:
	case <-timeout:
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// begin marks the shards one by one. live counts what they hold from their marking on, and one more until all are
// marked, so it cannot reach zero before each of them has been looked at.
func (r *Runner) begin() *drain {
	r.beginOnce.Do(func() {
		r.drain.began = time.Now()
		r.live.Store(1)
		for i := range r.shards {
			s := &r.shards[i]
			s.mu.Lock()
			s.phase = draining
			r.live.Add(s.counts.Running + s.counts.Queued + int64(s.loops))
			s.mu.Unlock()
		}
		r.supervisor.stop()
		if r.live.Add(-1) == 0 {
			close(r.drain.idle)
		}
	})
	return &r.drain
}

func (r *Runner) cut() []*task {
	var dropped []*task
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		s.phase = cut
		s.ready = nil
		for t := s.tasks.first; t != nil; {
			next := t.next
			if t.state == taskQueued {
				dropped = append(dropped, t)
				s.dropped = append(s.dropped, t.info())
				s.drop(t)
			}
			t = next
		}
		s.mu.Unlock()
	}
	r.root.cancel(errLate)
	if n := int64(len(dropped)); n > 0 && r.live.Add(-n) == 0 {
		close(r.drain.idle)
	}
	return dropped
}

func (r *Runner) left() []TaskInfo {
	var running, dropped []TaskInfo
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		running = s.abandon(running, nil)
		dropped = append(dropped, s.dropped...)
		s.mu.Unlock()
	}
	sortByStart(running)
	return append(running, dropped...)
}

func (r *Runner) release() { r.root.cancel(errDrained) }

func (g *Group) begin() *drain {
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	if g.drain == nil {
		g.drain = &drain{began: time.Now()}
		g.drain.init()
		g.phase = draining
		g.checkIdle()
	}
	return g.drain
}

func (g *Group) cut() []*task {
	r, s := g.runner, g.shard
	var dropped []*task
	s.mu.Lock()
	g.phase = cut
	if g.heapIndex >= 0 {
		heap.Remove(&s.ready, g.heapIndex)
	}
	for t := g.first; t != nil; {
		next := t.behind
		dropped = append(dropped, t)
		s.drop(t)
		t = next
	}
	drained := s.phase != open && len(dropped) > 0 && r.live.Add(-int64(len(dropped))) == 0
	s.mu.Unlock()
	if drained {
		close(r.drain.idle)
	}
	if g.cancel != nil {
		g.cancel(errLate)
	}
	return dropped
}

func (g *Group) left() []TaskInfo {
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	running := g.shard.abandon(nil, g)
	sortByStart(running)
	return append(running, g.dropped...)
}

func (g *Group) release() {
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	if g.cancel != nil {
		g.cancel(errDrained)
	}
}

// abandon appends what runs still, of one Group or (nil) of all, and counts it as left behind.
func (s *shard) abandon(infos []TaskInfo, of *Group) []TaskInfo {
	for t := s.tasks.first; t != nil; t = t.next {
		if of != nil && t.group != of {
			continue
		}
		infos = append(infos, t.info())
		if !t.abandoned && !t.loop {
			s.counts.Abandoned++
			if g := t.group; g.shard != nil {
				g.counts.Abandoned++
			}
		}
		t.abandoned = true
	}
	return infos
}

// checkIdle ends the Group's drain when nothing is left to wait for. It is called when a count has just gone down, and
// when the drain begins, so it finds zero once.
func (g *Group) checkIdle() {
	if g.phase != open && g.counts.Running+g.counts.Queued == 0 {
		close(g.drain.idle)
	}
}
