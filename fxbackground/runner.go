package fxbackground

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/stderrlog"
)

// A Runner runs tasks in the background and waits for them, for a bounded time, when it drains. Make one with [New],
// or let [Module] provide it. Its methods may be called from many goroutines.
type Runner struct {
	cfg   Config
	log   *zap.Logger
	epoch time.Time // task.started counts from here

	root   Group // of the Runner's own tasks; without limits it has no shard of its own, but is spread over all
	shards []shard

	drain     drain
	beginOnce sync.Once
	live      atomic.Int64 // tasks and loops left, from the moment the drain begins

	supervisor supervisor
}

// Stats are counts of tasks. Those of a Runner include its Groups'; supervised loops are in none.
type Stats struct {
	Submitted int64 // accepted so far
	Running   int64 // now
	Queued    int64 // now
	Succeeded int64
	Failed    int64 // with an error, or by runtime.Goexit
	Panicked  int64
	Rejected  int64 // with ErrDraining or ErrQueueFull; not among Submitted
	// Abandoned are those that a drain named as left behind. One that was running is counted again when it ends.
	Abandoned int64
}

// An Option is for [New].
type Option func(*Runner)

// WithLogger makes the Runner log to log what no caller gets to see: errors and panics of tasks. The default writes
// warnings and errors to standard error.
func WithLogger(log *zap.Logger) Option {
	return func(r *Runner) { r.log = log }
}

// New makes a Runner that is ready for tasks and holds no resources while it has none. Whoever makes one drains it.
func New(cfg Config, opts ...Option) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("fxbackground: new runner: %w", err)
	}
	r := &Runner{cfg: cfg, epoch: time.Now()}
	for _, opt := range opts {
		opt(r)
	}
	r.log = stderrlog.Or(r.log)

	r.shards = make([]shard, shardCount(cfg))
	for i := range r.shards {
		r.shards[i].index = i
	}
	r.root.runner = r
	r.root.heapIndex = -1
	r.root.ctx, r.root.cancel = context.WithCancelCause(context.Background())
	if len(r.shards) == 1 {
		r.root.shard = &r.shards[0]
		r.shards[0].limit, r.shards[0].queueLimit = cfg.Concurrency, cfg.Queue
	}
	r.drain.init()
	r.supervisor.init(r)
	return r, nil
}

func shardCount(cfg Config) int {
	if cfg.Concurrency > 0 || cfg.Queue > 0 {
		return 1
	}
	procs := min(runtime.GOMAXPROCS(0), 32)
	return 1 << bits.Len(uint(4*procs-1))
}

// Run starts task in the background and returns at once. name is for logs, errors and [Runner.Running].
//
// The task's context keeps the values of ctx but not its cancellation or deadline; it is cancelled when a drain runs
// out of time. An error of the task is logged and counted.
//
// Run returns ErrDraining where a task comes too late, ErrQueueFull where as many wait as may, or an error about its
// arguments. In each case the task does not run.
func (r *Runner) Run(ctx context.Context, name string, task Task, opts ...TaskOption) error {
	var pc [1]uintptr
	runtime.Callers(2, pc[:])
	return r.root.submit(ctx, name, task, pc[0], opts)
}

// Running lists the tasks and supervised loops that run now, in the order in which they started.
func (r *Runner) Running() []TaskInfo {
	var infos []TaskInfo
	for i := range r.shards {
		infos = r.shards[i].running(infos, nil)
	}
	sortByStart(infos)
	return infos
}

// Stats counts what has become of the tasks so far.
func (r *Runner) Stats() Stats {
	var sum Stats
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		sum.add(s.counts)
		s.mu.Unlock()
	}
	return sum
}

func (c *counts) add(d counts) {
	c.Submitted += d.Submitted
	c.Running += d.Running
	c.Queued += d.Queued
	c.Succeeded += d.Succeeded
	c.Failed += d.Failed
	c.Panicked += d.Panicked
	c.Rejected += d.Rejected
	c.Abandoned += d.Abandoned
}

// clock is the time since the Runner was made, at half the price of time.Now.
func (r *Runner) clock() time.Duration { return time.Since(r.epoch) }

func (r *Runner) anyShard() *shard {
	return &r.shards[rand.Uint32()&uint32(len(r.shards)-1)]
}

// submit is Run, for a Runner (as its root Group) and for a Group.
func (g *Group) submit(ctx context.Context, name string, fn Task, pc uintptr, opts []TaskOption) error {
	if fn == nil || ctx == nil {
		return fmt.Errorf("fxbackground: run %q: the task and its context must not be nil", name)
	}
	t := &task{parent: valuesOf(ctx), fn: fn, name: name, pc: pc, group: g, started: notStarted}
	if len(opts) > 0 {
		options, err := newTaskOptions(opts)
		if err != nil {
			return fmt.Errorf("fxbackground: run %q: %w", name, err)
		}
		t.options = options
	}
	s := g.shard
	if s == nil {
		s = g.runner.anyShard()
	}
	t.shard = s
	now := g.runner.clock()

	s.mu.Lock()
	if s.phase != open || g.phase != open {
		s.mu.Unlock()
		return g.submitLate(ctx, t)
	}
	g.prepare()
	start, err := s.admit(t, now)
	if err != nil {
		s.reject(g)
	}
	s.mu.Unlock()
	if start {
		go work(t)
	}
	if err != nil {
		return fmt.Errorf("fxbackground: run %q: %w", name, err)
	}
	return nil
}

// submitLate is submit once a drain has begun: for those tasks only that the drain waits for.
//
// The parent is held to be running, by the lock of its shard, until the child is counted. So the number of tasks left
// cannot reach zero in between, and once it has reached zero no task can be accepted: that is the end of the drain.
func (g *Group) submitLate(ctx context.Context, t *task) error {
	parent, _ := ctx.Value(taskKey{}).(*task)
	if parent != nil && parent.group.runner != g.runner {
		parent = nil
	}
	var held *shard
	if parent != nil {
		held = parent.shard
		if g.shard == nil {
			t.shard = held
		}
	}
	now := g.runner.clock()

	unlock := lockBoth(t.shard, held)
	start, err := false, ErrDraining
	if g.accepts(t.shard, parent) {
		g.prepare()
		start, err = t.shard.admit(t, now)
	}
	if err != nil {
		t.shard.reject(g)
	}
	unlock()
	if start {
		go work(t)
	}
	if err != nil {
		return fmt.Errorf("fxbackground: run %q: %w", t.name, err)
	}
	return nil
}

// accepts reports whether a drain leaves g open to a task that parent, if any, submits.
func (g *Group) accepts(s *shard, parent *task) bool {
	switch {
	case s.phase == cut || g.phase == cut:
		return false
	case parent == nil || parent.state != taskRunning:
		return false
	case g.phase == draining:
		return parent.group == g
	}
	return true
}

func (s *shard) reject(g *Group) {
	s.counts.Rejected++
	if g.shard != nil {
		g.counts.Rejected++
	}
}

// lockBoth locks two shards, which may be one, or the second nil, in an order that all agree on.
func lockBoth(a, b *shard) (unlock func()) {
	if b == nil || a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if a.index > b.index {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}

// running appends what runs now, of one Group or (nil) of all.
func (s *shard) running(infos []TaskInfo, of *Group) []TaskInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := s.tasks.first; t != nil; t = t.next {
		if t.state == taskRunning && (of == nil || t.group == of) {
			infos = append(infos, t.info())
		}
	}
	return infos
}

func sortByStart(infos []TaskInfo) {
	slices.SortStableFunc(infos, func(a, b TaskInfo) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Name, b.Name))
	})
}
