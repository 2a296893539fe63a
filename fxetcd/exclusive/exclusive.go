package exclusive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/guard"
	"github.com/fxkit/fxkit/internal/stderrlog"
)

var (
	// ErrLost is the cause with which fn's context ends when exclusiveness can no longer be proven, and in the error of a Lock to
	// which that happened. Match it with errors.Is: the error itself goes on to say why.
	ErrLost = errors.New("no longer exclusive")
	// ErrStopped is the cause with which fn's context ends when the application stops, and the error of what is asked for after that.
	ErrStopped = errors.New("stopped")
)

// A Term is one stay of one holder. Terms of one name never overlap in etcd, and a later one has a greater Revision, as long as etcd keeps its data.
type Term struct {
	// Revision is the fencing token: what is outside of etcd can refuse a holder that shows a smaller one than it has seen. In an etcd that has lost
	// its data, or was restored, it begins again smaller.
	Revision int64
	// Guard holds as long as the term does. Added to the If of a transaction in etcd, it keeps a holder that has lost its term, and
	// does not know it yet, from writing.
	Guard clientv3.Cmp
}

// Exclusive sees to it that one process at a time does a thing. Its methods may be called from many goroutines.
type Exclusive struct {
	etcd  *clientv3.Client
	cfg   Config
	log   *zap.Logger
	leads *calls
	locks *calls

	releasing sync.WaitGroup // leases that nobody waits for any more, being revoked
	life      context.Context
	end       context.CancelFunc
}

// An Option is for New.
type Option func(*Exclusive)

// WithLogger sets where a failing etcd is reported, once per outage. Default: warnings and errors to standard error.
func WithLogger(log *zap.Logger) Option { return func(x *Exclusive) { x.log = log } }

// New uses client, which must stay open until Close has returned. It does no I/O.
func New(client *clientv3.Client, cfg Config, opts ...Option) (*Exclusive, error) {
	if client == nil {
		return nil, errors.New("exclusive: new: the etcd client is nil")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("exclusive: new: %w", err)
	}
	x := &Exclusive{etcd: client, cfg: cfg.withDefaults(), leads: newCalls(), locks: newCalls()}
	for _, opt := range opts {
		opt(x)
	}
	x.life, x.end = context.WithCancel(client.Ctx())
	x.log = stderrlog.Or(x.log).Named("exclusive")
	return x, nil
}

// Lead runs fn while this process is the leader of name among all that call Lead for it, and blocks until its own context ends or fn
// returns without having lost the lead: then Lead resigns and returns fn's error.
//
// fn's context has the values of ctx. It ends with it, and with cause ErrLost as soon as the lead can no longer be proven; Lead
// then waits for fn to return, and campaigns again. A panic of fn is an error.
//
// While etcd is away, and also while it refuses (a missing permission, a wrong password), Lead tries again as long as ctx lives; a warning in the log says why, once.
// A Lead that ctx ends before its turn says who had the name, or what was the matter with etcd. With etcd away, it returns about a second after fn does: that
// long it tries to let go.
func (x *Exclusive) Lead(ctx context.Context, name string, fn func(ctx context.Context, t Term) error) error {
	err := x.leads.run(ctx, func(ctx context.Context) error {
		if err := check(name, fn); err != nil {
			return err
		}
		for {
			h, err := x.acquire(ctx, "lead", name, false)
			if err != nil {
				return err
			}
			lost, err := h.hold(fn)
			if lost == nil || ctx.Err() != nil {
				return err
			}
			x.log.Warn("lead lost, campaigning again", zap.String("name", name), zap.Int64("term", h.term.Revision),
				zap.NamedError("cause", lost), zap.Error(err))
		}
	})
	if err != nil {
		return fmt.Errorf("exclusive: lead %q: %w", name, err)
	}
	return nil
}

// Lock runs fn once, while no other Lock of name runs in any process, this one included. It waits for its turn, in the order in which
// the calls reached etcd, as long as ctx lives, and returns fn's error, which wraps ErrLost if the lock was lost while fn ran.
//
// fn's context has the values of ctx. It ends with it, and with cause ErrLost as soon as the lock can no longer be proven. A panic of fn is an error.
//
// While etcd is away Lock waits; what etcd refuses for good, such as a missing permission, is returned at once. A Lock that ctx ends before its turn says
// who had the lock, as of the last look at the queue, or what was the matter with etcd. With etcd away, it returns about a second after fn does: that
// long it tries to let go.
func (x *Exclusive) Lock(ctx context.Context, name string, fn func(ctx context.Context, t Term) error) error {
	err := x.locks.run(ctx, func(ctx context.Context) error {
		if err := check(name, fn); err != nil {
			return err
		}
		h, err := x.acquire(ctx, "lock", name, true)
		if err != nil {
			return err
		}
		lost, err := h.hold(fn)
		if lost != nil {
			return errors.Join(lost, err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("exclusive: lock %q: %w", name, err)
	}
	return nil
}

// StopLeading ends every Lead, and waits until their fns have returned and they have resigned. Later ones get ErrStopped. Locks stay usable.
func (x *Exclusive) StopLeading(ctx context.Context) error {
	if left := x.leads.stop(ctx); left > 0 {
		return fmt.Errorf("exclusive: stop: %d of Lead still run: %w", left, context.Cause(ctx))
	}
	return nil
}

// Close ends every Lead and every Lock, and waits until their fns have returned and they have let go. Later ones get ErrStopped. What etcd
// has not answered a second later is left to the leases' ends.
func (x *Exclusive) Close(ctx context.Context) error {
	err := x.StopLeading(ctx)
	if left := x.locks.stop(ctx); left > 0 {
		err = errors.Join(err, fmt.Errorf("exclusive: stop: %d of Lock still run: %w", left, context.Cause(ctx)))
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, x.end)()
	x.releasing.Wait() // nobody adds to them any more, except they themselves
	x.end()
	return nil
}

// check refuses what a wait for one's turn would be in vain for.
func check(name string, fn func(ctx context.Context, t Term) error) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case fn == nil:
		return errors.New("fn is nil: there is nothing to run")
	}
	return nil
}

// folder is where the holder of a name and those who wait for it have a key each. The name is escaped, so that no name's folder is
// inside another's of the same namespace.
func (x *Exclusive) folder(kind, name string) string {
	return x.cfg.Namespace + "/" + kind + "/" + url.PathEscape(name) + "/"
}

// hold runs fn, then lets go. lost is why the term had ended by then, if it had; err is fn's.
func (h *holder) hold(fn func(ctx context.Context, t Term) error) (lost, err error) {
	guarded := make(chan struct{})
	go func() {
		defer close(guarded)
		h.guardKey()
	}()
	err = guard.Within(context.Background(), func() error { return fn(h.lease, h.term) }, nil)
	lost = h.lease.lost()
	h.lease.end()
	<-guarded
	h.lease.revoke()
	return lost, err
}
