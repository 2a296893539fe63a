// Package fxbackground runs work that outlives the call that asked for it, and gives it a bounded chance to finish
// before anything that it uses is closed.
//
// A goroutine started with go in a request handler has the request's context, which ends with the request; nobody waits
// for it when the application stops, so it finds its connections closed; and its panic ends the process. A task of a
// [Runner] has none of these problems:
//
//	err := tasks.Run(ctx, "audit", func(ctx context.Context) error {
//		return audit.Write(ctx, order) // ctx has the request's trace and logger, and does not end with it
//	})
//
// Run returns at once. What the task returns is logged and counted. When the application stops, the Runner waits for
// its tasks, then cancels those that are late, then leaves behind those that do not listen and says which.
//
// # Run, Group or Supervise
//
//	Run        work that ends: a record to write, a mail to send, a cache to fill
//	Group      work that belongs together and is waited for together, or has a limit of its own: of a request, of a tenant
//	Supervise  work that does not end before the application does: a consumer, a poller, a watch
//
// A Group is cheap, and forgotten once it is drained:
//
//	g := tasks.Group("import", fxbackground.WithConcurrency(4), fxbackground.WithDrainTimeout(time.Minute))
//	for _, file := range files {
//		if err := g.Run(ctx, file, load(file)); err != nil {
//			return err
//		}
//	}
//	return g.Drain(ctx)
//
// Supervise starts its function again when it fails, with waits that grow, until the drain begins:
//
//	err := tasks.Supervise("orders", func(ctx context.Context) error {
//		return consumer.Consume(ctx)
//	})
//
// With [FailApp] the first failure stops the application instead, for what it cannot do its work without.
//
// # With Fx and without
//
// [Module] provides a *Runner, configured in section backgroundTask. These are the defaults, but for the limits, which
// are none:
//
//	backgroundTask:
//	  timeout: 5s          # how long a drain waits; "infinite" waits as long as the stop budget allows
//	  concurrency: 100     # tasks running at once; 0: no limit
//	  queue: 10000         # tasks waiting for a place; 0: no limit
//	  grace: 500ms         # between cancelling the tasks that are late and leaving them behind
//
// In an application with fxlifecycle.Coordinate the Runner drains in its PreDestroy: after that of every managed object
// that was built after the Runner, so servers and consumers have stopped giving it work; and before any Destroy and any plain
// OnStop hook, so no task sees a closed client. The order in which modules are listed does not matter.
//
// Without a coordinator the drain stands where Fx puts the Runner's hook: whatever was built after the Runner has been
// stopped by then. A client that is built later is closed earlier, under the tasks' feet. And where fx.New or start
// fails, Fx may run no hook of the Runner at all: then nobody waits for the tasks that were submitted until then.
//
// [New] makes a Runner without Fx. Whoever makes it drains it:
//
//	tasks, err := fxbackground.New(fxbackground.Config{Timeout: 5 * time.Second, Grace: time.Second})
//	if err != nil {
//		return err
//	}
//	defer func() { err = errors.Join(err, tasks.Drain(context.Background())) }()
//
// # What happens when
//
//	an error, a panic, Goexit    logged with name, caller and duration, counted; other tasks and the process go on
//	the request ends             nothing: a task has its values, not its cancellation
//	all places are taken         the task waits; places go to waiting tasks in order of submission
//	the queue is full            Run returns ErrQueueFull, at once
//	the drain begins             loops are cancelled; only running tasks submit, with their own contexts; others get ErrDraining
//	timeout, or most of ctx      tasks are cancelled, waiting ones are dropped, everybody gets ErrDraining
//	grace                        Drain returns a *DrainError that names what still runs and what was dropped
//
// The error says where each was submitted, so that a task that does not listen to its context is found:
//
//	fxbackground: drain: 3 tasks left behind after 5.5s: 2 of "audit" of group "import" (audit.go:17), "export" (export.go:31)
//
// A context that is kept beyond its task's end does not make its holder a running task: once a drain has begun, a Run with
// it gets ErrDraining, too.
//
// # Retries
//
// With [WithRetry] a task that fails is tried again, by a policy of github.com/cenkalti/backoff/v5. Policies have state, so the
// option takes a function that makes one:
//
//	exponential := func() backoff.BackOff { return backoff.NewExponentialBackOff() }
//	err := tasks.Run(ctx, "mail", send, fxbackground.WithRetry(exponential, 5), fxbackground.WithTimeout(10*time.Second))
//
// A task keeps its place while it waits for its next try, and a drain waits for it as for one that runs.
package fxbackground
