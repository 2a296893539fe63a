package fxbackground

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/backoff"
	"github.com/fxkit/fxkit/internal/guard"
)

// How long a loop that failed waits before it runs again, and what run is so long that the waits start over.
var restarts = backoff.Policy{Base: 200 * time.Millisecond, Max: 30 * time.Second}

const healthy = time.Minute

// A SuperviseOption is for [Runner.Supervise].
type SuperviseOption func(*loop)

// FailApp stops the application when the loop first fails, instead of starting it again: fx.Shutdowner with exit code
// 1, and the cause in the log. It needs a Runner from [Module].
func FailApp() SuperviseOption {
	return func(l *loop) { l.failApp = true }
}

// Supervise runs fn for as long as the application lives: a consumer, a poller, a watch. fn begins when the application
// is ready (see [Module]), or at once where the Runner has been made with [New], and its context ends when the drain
// begins. The drain then waits for it as for a task, and while fn winds down it may still submit tasks with its context.
//
// When fn returns nil the loop has ended. When it returns an error, panics, or returns its context's cancellation
// although nobody has cancelled it, it runs again, after a wait that grows with each failure and that a minute of health
// resets. Loops take no place among the tasks, and no part in Stats.
func (r *Runner) Supervise(name string, fn Task, opts ...SuperviseOption) error {
	var pc [1]uintptr
	runtime.Callers(2, pc[:])
	l := &loop{}
	for _, opt := range opts {
		opt(l)
	}
	switch {
	case fn == nil:
		return fmt.Errorf("fxbackground: supervise %q: the function must not be nil", name)
	case l.failApp && r.supervisor.shutdown == nil:
		return fmt.Errorf("fxbackground: supervise %q: FailApp needs an Fx application to stop: use fxbackground.Module, not New", name)
	}
	l.task = &task{
		parent: context.Background(), fn: fn, name: name, pc: pc[0], loop: true,
		group: &r.supervisor.group, shard: r.anyShard(), started: notStarted,
	}
	if !r.supervisor.add(l) {
		return fmt.Errorf("fxbackground: supervise %q: %w", name, ErrDraining)
	}
	return nil
}

// A supervisor starts a Runner's loops when the application is ready and ends them, all at once, when the drain begins.
type supervisor struct {
	group    Group        // that lends the loops its context and its way to the Runner
	shutdown func() error // stops the application; nil without Fx

	mu      sync.Mutex
	ready   bool
	stopped bool
	failed  bool    // the application has been told to stop
	pending []*loop // until ready
}

func (s *supervisor) init(r *Runner) {
	s.ready = true
	s.group.runner = r
	s.group.heapIndex = -1
	s.group.ctx, s.group.cancel = context.WithCancelCause(r.root.ctx)
}

// add starts l, now or when the application is ready. It reports false if the drain has begun.
func (s *supervisor) add(l *loop) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return false
	case s.ready:
		return l.start()
	}
	s.pending = append(s.pending, l)
	return true
}

// start starts the loops that wait for the application to be ready.
func (s *supervisor) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	for _, l := range s.pending {
		l.start()
	}
	s.pending = nil
}

// stop cancels all loops at once, and forgets those that have not started.
func (s *supervisor) stop() {
	s.group.cancel(errStopped)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped, s.pending = true, nil
}

// failApp stops the application, once: Fx's Shutdowner races with itself, and refuses a second call as an error.
func (s *supervisor) failApp() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		return nil
	}
	s.failed = true
	return s.shutdown()
}

// A loop is a function that is supervised. For a drain it is a task that runs.
type loop struct {
	task    *task
	failApp bool
}

// start reports false if the drain has begun.
func (l *loop) start() bool {
	t := l.task
	now := t.group.runner.clock()
	s := t.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != open {
		return false
	}
	t.state, t.started = taskRunning, now
	s.tasks.push(t)
	s.loops++
	go l.run()
	return true
}

func (l *loop) run() {
	t := l.task
	defer t.shard.leaveLoop(t)
	log := t.group.runner.log
	for failures := 1; t.Err() == nil; failures++ {
		began := t.restart()
		// In a goroutine of its own, so that runtime.Goexit ends one run and not the supervision.
		err := guard.Within(context.Background(), func() error { return t.fn(t) }, nil)
		switch {
		case err == nil:
			return
		case t.Err() != nil:
			if !errors.Is(err, context.Canceled) {
				log.Warn("fxbackground: loop failed while it was stopped", append(t.fields(), zap.Error(err))...)
			}
			return
		case l.failApp:
			log.Error("fxbackground: loop failed, so the application stops", append(t.fields(), zap.Error(err))...)
			if err := t.group.runner.supervisor.failApp(); err != nil {
				log.Warn("fxbackground: the application does not take the order to stop", append(t.fields(), zap.Error(err))...)
			}
			return
		}
		if t.group.runner.clock()-began >= healthy {
			failures = 1
		}
		wait := restarts.Delay(failures)
		log.Error("fxbackground: loop failed and will run again", append(t.fields(), zap.Error(err), zap.Duration("wait", wait))...)
		backoff.Wait(t, wait)
	}
}

// restart makes this the time at which a loop has started.
func (t *task) restart() time.Duration {
	now := t.group.runner.clock()
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	t.started = now
	return now
}

// leaveLoop is leave for a loop.
func (s *shard) leaveLoop(t *task) {
	r := t.group.runner
	s.mu.Lock()
	s.tasks.remove(t)
	t.state = taskEnded
	s.loops--
	late := t.abandoned
	drained := s.phase != open && r.live.Add(-1) == 0
	s.mu.Unlock()
	if late {
		r.log.Warn("fxbackground: loop that was left behind has ended", t.fields()...)
	}
	if drained {
		close(r.drain.idle)
	}
}
