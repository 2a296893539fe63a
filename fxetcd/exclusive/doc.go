// Package exclusive is for what one process at a time may do: leader election ([Exclusive.Lead]) and locks ([Exclusive.Lock]), on etcd.
//
//	fx.New(fxetcd.Module, exclusive.Module, …)
//
//	// for as long as ctx lives, in one process of all
//	err := x.Lead(ctx, "prune", func(ctx context.Context, t exclusive.Term) error { … })
//
//	// once, when it is our turn
//	err := x.Lock(ctx, "migrate", func(ctx context.Context, t exclusive.Term) error { … })
//
// # What is promised
//
// Two fns of one name, in whatever processes, do not run at the same time, if fn returns when its context ends with cause [ErrLost]. It
// ends so as soon as it cannot be proven any more that this process holds the name: its lease has not been renewed for nine tenths of its
// time, counted from when the last renewal was sent; the lease was revoked; the key was deleted. The process may have been paused
// meanwhile: its context has ended before fn sees it again. (Contexts made from fn's end by a timer of this process, a moment later.)
//
// There are three exceptions, in which the next fn begins before the one before it knows:
//
//   - Somebody deletes the key or revokes the lease by hand. The holder learns of it with the next one, at the same moment; one that is cut off
//     from etcd not before its own time is over.
//   - etcd loses its data, or is restored from a backup. The holder learns of it when it is connected again, about a second later.
//   - The clock stands still with the machine, as in a virtual machine that was suspended. (It is the monotonic one.)
//
// When the caller's context ends, or the application stops, fn's context ends too, with that cause. Until fn returns it is still alone: the lease is kept.
//
// No lock service can promise more, since between asking the context and writing there is always a moment, also without an exception. What must not go
// wrong even then is fenced, and the fence does not depend on time:
//
//	etcd.Txn(ctx).If(t.Guard).Then(clientv3.OpPut(…)).Commit()   // succeeds only while the term lasts
//
// with the client that Exclusive was made with, or one of the same namespace. Outside of etcd, pass t.Revision along, and refuse one that is smaller than the greatest seen.
// Not even that helps where etcd has lost its data: revisions begin again smaller, so what is outside refuses the new holders, until somebody makes it
// forget what it has seen, and then cannot tell the old one from them. The Guard still can.
//
// # Names
//
// A name may be any text. Whoever holds it, and each that waits for it, has a key of its own, whose value says which process that is:
//
//	<Config.Namespace>/lock/<name, escaped as in URLs>/<lease, 16 hexadecimal digits>
//
// or /lead/. A user of etcd's needs to read and write (readwrite) what is below. No other keys count, wherever they are, those of a namespace inside of this one
// included; only one of just that form does, whoever has put it there: the queue waits until it is deleted.
//
// # Where time goes
//
// A holder that stops resigns: the next one has its turn at once, or if etcd is away, once that is back. One that crashes, or is cut off, is waited
// for until its lease has ended: Config.TTL, 10 s by default. Shorter is faster at failover, and loses more terms to short pauses; below 5 s is not sensible.
//
// An fn may call Lock and Lead of other names; if its own is lost meanwhile, so are those. It must not wait for the end of its own call: for a Lock of the
// same name, StopLeading or Close.
//
// Waiting costs one watch on whoever is ahead in the queue, so a thousand that wait do not wake for one that goes. The order is that in
// which the calls reached etcd.
package exclusive
