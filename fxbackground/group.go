package fxbackground

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// A Group is a part of its Runner's tasks that has limits and statistics of its own and can be drained alone: the
// tasks of one request, of one tenant. Whoever makes a Group drains it; its Runner drains it at the latest.
//
// A Group that has never been used costs one allocation, and one that is drained is forgotten by its Runner.
type Group struct {
	runner            *Runner
	shard             *shard // all its tasks are here; nil: a Runner's own tasks, anywhere
	name              string
	timeout           atomic.Int64
	limit, queueLimit int // 0: none

	// Guarded by the shard's lock, but for ctx and cancel of the groups that a Runner is born with.
	phase       phase
	ctx         context.Context // cancelled when a drain runs out of time; made with the first task
	cancel      context.CancelCauseFunc
	first, last *task // that wait for a place
	heapIndex   int   // in the shard's ready heap; -1: not there
	counts      counts
	drain       *drain     // made with the first Drain
	dropped     []TaskInfo // what waited for a place when a drain, this one or the Runner's, ran out of time
}

// A GroupOption is for [Runner.Group].
type GroupOption func(*Group)

// WithConcurrency lets n of a Group's tasks run at once, beside the limit of its Runner. 0 or less: no limit.
func WithConcurrency(n int) GroupOption {
	return func(g *Group) { g.limit = max(n, 0) }
}

// WithQueue lets n of a Group's tasks wait for a place, beside the limit of its Runner. 0 or less: no limit.
func WithQueue(n int) GroupOption {
	return func(g *Group) { g.queueLimit = max(n, 0) }
}

// WithDrainTimeout is how long [Group.Drain] waits before it cancels what still runs, as with [Group.SetTimeout].
// The default is the Runner's timeout.
func WithDrainTimeout(d time.Duration) GroupOption {
	return func(g *Group) { g.SetTimeout(d) }
}

// Group makes a new Group. name is for logs, errors and TaskInfo; it need not be unique.
func (r *Runner) Group(name string, opts ...GroupOption) *Group {
	g := &Group{runner: r, name: name, heapIndex: -1}
	g.shard = r.anyShard()
	g.timeout.Store(int64(r.cfg.Timeout))
	for _, opt := range opts {
		opt(g)
	}
	return g
}

// Run is [Runner.Run] for a task of this Group.
func (g *Group) Run(ctx context.Context, name string, task Task, opts ...TaskOption) error {
	var pc [1]uintptr
	runtime.Callers(2, pc[:])
	return g.submit(ctx, name, task, pc[0], opts)
}

// SetTimeout changes how long a Drain that begins later waits: [Infinite] for as long as its context does; 0 or less
// cancels at once.
func (g *Group) SetTimeout(d time.Duration) { g.timeout.Store(int64(d)) }

// Running lists the tasks that run now, in the order in which they started.
func (g *Group) Running() []TaskInfo {
	infos := g.shard.running(nil, g)
	sortByStart(infos)
	return infos
}

// Stats counts what has become of the tasks so far.
func (g *Group) Stats() Stats {
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	return g.counts
}

func (g *Group) full() bool { return g.limit > 0 && g.counts.Running >= int64(g.limit) }

// prepare makes the context of the Group's tasks. It hangs on the Runner's, and that is all the Runner knows of it.
func (g *Group) prepare() {
	if g.ctx == nil {
		g.ctx, g.cancel = context.WithCancelCause(g.runner.root.ctx)
	}
}
