// Package fxlifecycle gives objects that Fx constructs the six moments of a life, and an application a start and a stop that are
// ordered, bounded and total: no object is closed while another still uses it, no hook that hangs keeps the others from
// running, a start that times out is rolled back, a panic in a hook does not kill the process, and whatever was constructed is destroyed
// exactly once, on every path.
//
//	func NewLedger(lc fx.Lifecycle, db *sql.DB) (*Ledger, error) {
//		return fxlifecycle.Manage(lc, &Ledger{db: db})
//	}
//
//	func (l *Ledger) Init(ctx context.Context) error       { … } // when the application starts
//	func (l *Ledger) PreDestroy(ctx context.Context) error { … } // take no more work, finish what is in hand
//	func (l *Ledger) Destroy(ctx context.Context) error    { … } // release everything
//
//	fx.New(fxlifecycle.Coordinate(), fx.Provide(NewLedger), …).Run()
//
// # PreDestroy or OnStop
//
// Stop has two phases. First PreDestroy of every managed object runs, of all of them; only then Destroy of any, and only
// then any OnStop hook, those of third-party modules included. Whatever takes in work, such as a server, a consumer of a queue or a
// listener, must therefore be managed, with its shutdown as PreDestroy ([Serve] does it for HTTP). An OnStop hook is too late for it: it would
// still take in work after everything else has drained, and hand it to objects that are being destroyed.
//
// PreDestroy runs in the reverse order of the dependencies, except that objects managed with [StopsFirst] come before all others: a service
// registry that has to tell others to stay away while everything still serves. PreDestroy leaves its object usable, since the requests that another object finishes may need it. Destroy is what ends that.
//
// # The life of an object
//
//	constructor ─► PostConstruct ─► PreInject ─► PostInject ─► seen by its dependents
//	                     │               │            │                  │
//	                     └── error, panic, Goexit ────┤                  │ start, after Init of
//	                                                  │                  ▼ what it depends on
//	                                                  │ ◄── failed ──── Init
//	                                                  │                  │
//	                                                  ▼                  ▼
//	                                               Destroy ◄── PreDestroy ◄── stop ── started
//
// Each hook runs at most once. With [Manage] the construction hooks run one after the other at the end of the constructor; with
// [Object] the tagged fields are set between PreInject and PostInject. An object without a hook skips it. Destroy
// follows in any case, also for an object that start never reached; it must tolerate an Init that did not run, that failed halfway, or that
// still runs because it ignored its context.
//
// # The life of an application
//
//	            start                 ready                stop
//	Constructing ──► Starting ──────────────► Running ──────────────► Stopping ──► Stopped
//	      │              └── a hook failed, timed out or panicked ───────►│
//	      └── fx.New failed, or Close ───────────────────────────────────►│
//
// [Coordinator.Phase] tells where it stands. [Coordinator.Ready] is closed when every OnStart hook and every function given to
// [Coordinator.OnReady] has succeeded. An application does not live twice: Start after a stop that destroyed objects is [ErrStopped].
//
// # What happens when
//
// With [Coordinate]:
//
//	where            error or panic                           out of time                              context cancelled
//	constructor,     fx.New fails. This object is destroyed,  Fx sets no limit                         there is none
//	construction     then what was built before it
//	hook, Invoke
//	Init, OnStart,   start fails and names the hook.          start fails and names the hook while     Fx returns at once. The hook is
//	OnReady          PreDestroy of what start has passed,     there is time for the same rollback:     cancelled, the rollback goes on;
//	                 then Destroy of all and OnStop of what   its deadline less a quarter, at most     Close waits for it
//	                 start has passed                         3 s
//	PreDestroy       the rest goes on, the error is joined    the hook is left behind and named, in    Fx returns at once. The hook is
//	                 to that of stop                          the log and in the error of stop; the    cancelled, the rest runs in the
//	                                                          rest goes on                             time it had; Close waits for it
//	Destroy, OnStop  the same                                 the same                                 the same
//	stop during      -                                        a start hook that still runs is          -
//	start                                                     cancelled and waited for first
//
// A panic is an error that carries its stack, and runtime.Goexit is an error as well. Errors of stop are joined, none is lost: those that Fx
// drops, because its context has ended, are logged, and Close returns them. A hook that was left behind and returns after all is logged.
//
// Without Coordinate, Manage works with any fx.Lifecycle as far as Fx goes: an object whose own construction hooks or Init fail is
// destroyed; one that was built when fx.New or the start of another fails is not.
//
// # Time
//
// Stop has the time to its context's deadline (see fx.StopTimeout), or 15 s without one (see [WithStopBudget]). A twentieth of it, at most
// 250 ms, is kept in reserve, since Fx drops all errors once the deadline has passed. PreDestroy of all may use three quarters of the rest. Each
// hook's share is the time left divided by the hooks left, so that what one does not use is there for those after it; an object
// that drains says with [WithStopTimeout] how long that may take, and is served before the rest is shared. The context of a hook ends a
// tenth before its share does: a hook that honours it still has its say, one that does not is left behind. Down to shares of
// a millisecond every hook gets its turn.
//
// The context of start hooks ends when the time for start is over, and when stop begins.
//
// # What Fx makes impossible
//
// Fx runs no hook at all when fx.New is not followed by Start, when Start gets a context that is cancelled, and when Stop gets one that has ended. The objects
// are there, and nobody destroys them, until [Coordinator.Close] does: defer it in programs that may not come to Start, such as a command that
// only prints what it would do. Where the context of a start or stop ends midway, what Fx skips is done all the same, but Fx
// does not wait for it; Close does. If the constructor given to fx.WithLogger fails, Fx fails before anybody can get hold of the Coordinator,
// and what that constructor depends on stays open. A signal during start ends the process: Fx does not catch it yet.
//
// An fx.Hook that is appended once the application has begun to start is refused and logged; Fx would ignore it silently.
//
// In Fx's own events the functions of fx.Hook keep their names, but CallerName is this package's, as are the names of managed
// hooks. [Coordinator.Journal] has the real ones, and so have an [Observer]'s entries.
package fxlifecycle
