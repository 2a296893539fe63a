package fxlifecycle

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/guard"
)

// An Entry of the journal is a hook that ran.
type Entry struct {
	Object   string        // the object's name, by default its type; of hooks given to fx.Lifecycle, the function's name
	Hook     string        // "PostConstruct", "PreInject", "PostInject", "Init", "PreDestroy", "Destroy"; "OnStart", "OnStop"; "OnReady"
	Caller   string        // who gave the hook to Manage, Append or OnReady: "pkg.Func (file:line)"
	Start    time.Time     // when it began
	Duration time.Duration // how long it ran; for a hook that was left behind, how long it was waited for
	Err      error         // what it returned
}

// An Observer sees each hook of the application begin and end. Supply it to the group "fxlifecycle.observers":
//
//	fx.Provide(fx.Annotate(newObserver, fx.As(new(fxlifecycle.Observer)), fx.ResultTags(`group:"fxlifecycle.observers"`)))
//
// Hooks that ran before the observer was built are replayed to it, with their own times. Its methods are called in the
// hook's goroutine and count against the hook's time, so they should be quick; they may be called by several goroutines at once. In
// HookBegan, Duration and Err are zero. A hook that is left behind ends with the error that says so.
type Observer interface {
	HookBegan(Entry)
	HookEnded(Entry)
}

// Journal is every hook that has run so far, in the order in which they began. Hooks that still run are not in it; those left behind are.
func (c *Coordinator) Journal() []Entry {
	c.mu.Lock()
	records := make([]*record, 0, len(c.journal))
	for _, r := range c.journal {
		if r.state == recordEnded {
			records = append(records, r)
		}
	}
	c.mu.Unlock()
	entries := make([]Entry, len(records))
	for i, r := range records {
		entries[i] = r.full() // ended records do not change
	}
	return entries
}

// How long an observer may hold up others with the end of a hook that was left behind.
const observerPatience = 100 * time.Millisecond

// A record is what the journal keeps of a hook: names and places are put into words only when somebody reads them.
type record struct {
	entry    *entry
	hook     string
	ended    atomic.Bool
	state    recordState // this and what follows guarded by the coordinator's mu
	start    time.Time
	duration time.Duration
	err      error
}

type recordState int

const (
	recordNew recordState = iota
	recordBegan
	recordEnded
)

// newRecord is nil without a coordinator, which nothing below minds.
func (e *entry) newRecord(hook string) *record {
	if e.c == nil {
		return nil
	}
	return &record{entry: e, hook: hook}
}

func (r *record) begin() {
	if r == nil {
		return
	}
	c := r.entry.c
	c.mu.Lock()
	if r.state != recordNew {
		c.mu.Unlock()
		return
	}
	r.state = recordBegan
	r.start = time.Now()
	c.journal = append(c.journal, r)
	observers := c.observers
	c.mu.Unlock()
	if len(observers) > 0 {
		c.observe(observers, r.began(), Observer.HookBegan)
	}
}

// end notes how the hook ended, the first time it is called.
func (r *record) end(err error) {
	if r == nil || r.ended.Swap(true) {
		return
	}
	r.begin() // a hook that was left behind before its goroutine ran
	c := r.entry.c
	c.mu.Lock()
	r.state = recordEnded
	r.duration = time.Since(r.start)
	r.err = err
	observers := c.observers
	c.mu.Unlock()
	if len(observers) > 0 {
		c.observe(observers, r.full(), Observer.HookEnded)
	}
}

// around is fn with its begin and end recorded.
func (r *record) around(fn func(context.Context) error) func(context.Context) error {
	if r == nil {
		return fn
	}
	return func(ctx context.Context) error {
		err := guard.ErrGoexit
		defer func() { r.end(err) }()
		r.begin()
		err = guard.Call(func() error { return fn(ctx) })
		return err
	}
}

// endWithout ends the record of a hook that was left behind. An observer may be what holds the hook up, so it is not waited for.
func (r *record) endWithout(err error) {
	if r == nil || r.ended.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), observerPatience)
	defer cancel()
	_ = guard.Within(ctx, func() error { r.end(err); return nil }, nil)
}

func (r *record) began() Entry {
	return Entry{Object: r.entry.objectOf(r.hook), Hook: r.hook, Caller: r.entry.caller(), Start: r.start}
}

func (r *record) full() Entry {
	e := r.began()
	e.Duration, e.Err = r.duration, r.err
	return e
}

// observe calls the observers. One that panics is no reason for the application to.
func (c *Coordinator) observe(observers []Observer, e Entry, method func(Observer, Entry)) {
	for _, o := range observers {
		err := guard.Call(func() error { method(o, e); return nil })
		if err != nil {
			c.log().Error("fxlifecycle: an observer panicked", zap.String("hook", e.Hook), zap.String("object", e.Object), zap.Error(err))
		}
	}
}

// attach replays to new observers what ran before they existed.
func (c *Coordinator) attach(observers []Observer) {
	c.mu.Lock()
	journal := c.journal
	c.observers = observers
	c.mu.Unlock()
	for _, r := range journal {
		c.observe(observers, r.began(), Observer.HookBegan)
		c.observe(observers, r.full(), Observer.HookEnded)
	}
}
