package fxscope

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxbackground"
)

// Scopes begins scopes. There is one in an application, from Module.
type Scopes struct {
	cfg       Config
	log       *zap.Logger
	runner    *fxbackground.Runner
	ownRunner bool
	plan      *plan
	hookSets  sync.Map // reflect.Type to hookSet

	closed atomic.Bool
	woken  chan struct{} // a scope has ended since closed
	shards []shard       // the live scopes
}

// A shard has some of the live scopes, so that requests on several cores do not meet at one lock.
type shard struct {
	mu    sync.Mutex
	first *Scope
	count int
	_     [40]byte // each on a cache line of its own
}

func newScopes(cfg Config, log *zap.Logger, runner *fxbackground.Runner) *Scopes {
	shards := 1
	for shards < 4*runtime.GOMAXPROCS(0) {
		shards *= 2
	}
	return &Scopes{cfg: cfg, log: log, runner: runner, woken: make(chan struct{}, 1), shards: make([]shard, shards)}
}

// Begin begins a scope. The context it returns is ctx with the scope, for Get; End is for the caller to call, when whoever uses
// that context has done so. It is cheap: nothing is built before it is asked for.
//
// A scope that is begun within another is independent of it. After the application's stop began the scope has ended already.
func (s *Scopes) Begin(ctx context.Context, values ...ScopeValue) (context.Context, *Scope) {
	sc := s.begin(ctx)
	for _, v := range values {
		sc.put(v)
	}
	s.add(sc)
	return &sc.root, sc
}

func (s *Scopes) begin(ctx context.Context) *Scope {
	sc := &Scope{scopes: s, id: rand.Uint64(), slots: make([]slot, len(s.plan.slots))}
	sc.root = frame{Context: ctx, scope: sc}
	return sc
}

// Run begins a scope, calls fn with its context and ends it, also if fn panics. The scope ends within the configured
// endTimeout, whatever has become of ctx. Run returns the errors of both, and after the application's stop began ErrEnded, without calling fn.
func (s *Scopes) Run(ctx context.Context, fn func(ctx context.Context) error, values ...ScopeValue) (err error) {
	inside, sc := s.Begin(ctx, values...)
	if err := sc.Err(); err != nil {
		return fmt.Errorf("fxscope: run: the application stops: %w", err)
	}
	returned := false
	defer func() {
		end := sc.End(context.WithoutCancel(ctx))
		if end != nil && !returned {
			s.logEnd(sc, end) // nobody gets an error of Run while it panics
		}
		err = errors.Join(err, end)
	}()
	err = fn(inside)
	returned = true
	return err
}

func (s *Scopes) logEnd(sc *Scope, err error) {
	s.log.Error("fxscope: a scope did not end cleanly", zap.String("scope", sc.ID()), zap.Error(err))
}

// Ensure calls fn within ctx's scope, if it has one of s that lives, and else within a new one, as Run does.
func (s *Scopes) Ensure(ctx context.Context, fn func(ctx context.Context) error) error {
	if sc, ok := From(ctx); ok && sc.scopes == s && sc.Err() == nil {
		return fn(ctx)
	}
	return s.Run(ctx, fn)
}

// Live is how many scopes have begun and not yet ended. Those whose End is under way count.
func (s *Scopes) Live() int {
	n := 0
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		n += shard.count
		shard.mu.Unlock()
	}
	return n
}

func (s *Scopes) shardOf(sc *Scope) *shard { return &s.shards[sc.id&uint64(len(s.shards)-1)] }

// add makes sc one of the live scopes, or one that has ended if the application stops.
func (s *Scopes) add(sc *Scope) {
	shard := s.shardOf(sc)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if s.closed.Load() {
		sc.over.Store(true)
		sc.state = ended
		return
	}
	sc.siblings.next = shard.first
	if shard.first != nil {
		shard.first.siblings.prev = sc
	}
	shard.first = sc
	shard.count++
}

func (s *Scopes) remove(sc *Scope) {
	shard := s.shardOf(sc)
	shard.mu.Lock()
	prev, next := sc.siblings.prev, sc.siblings.next
	if prev != nil {
		prev.siblings.next = next
	} else {
		shard.first = next
	}
	if next != nil {
		next.siblings.prev = prev
	}
	sc.siblings.prev, sc.siblings.next = nil, nil // whoever keeps this scope keeps no other alive
	shard.count--
	shard.mu.Unlock()
	if s.closed.Load() {
		select {
		case s.woken <- struct{}{}:
		default:
		}
	}
}
