// Package watch watches prefixes of etcd's keys, and neither misses nor repeats an event, whatever happens to the servers and the
// connections.
//
// [Prefix] is a snapshot of the keys that begin with a prefix, then each change, in order:
//
//	for e, err := range watch.Prefix(ctx, client, "flags/") {
//		switch {
//		case err != nil:
//			return err
//		case e.Type == watch.Put:
//			flags[e.Key] = string(e.Value)
//		case e.Type == watch.Delete:
//			delete(flags, e.Key)
//		case e.Type == watch.Synced:
//			ready(flags) // what has been applied is what etcd held at e.Revision
//		}
//	}
//
// [Mirror] does that and keeps the decoded values for readers:
//
//	flags, err := watch.Mirror(ctx, client, "flags/", func(key string, value []byte) (bool, error) {
//		return strconv.ParseBool(string(value))
//	})
//
// Both take a plain *clientv3.Client, also one with a namespace, and use its KV and Watcher alone.
//
// # What it survives
//
//	what happens                           what the consumer sees
//	reconnection, restart, new leader      nothing: the next event is the next change
//	loss of quorum                         nothing, until there is one again
//	token expired                          nothing
//	compaction while away                  a change set: the difference, ending in Synced
//	server wiped, or restored              a change set
//	a consumer slower than the changes     a change set: the latest of each key that has changed
//	no permission, wrong password          an error, once, when it connects next; the loop goes on when it may again
//	a value too large for the client       an error, once; the loop goes on when it is gone
//	client closed                          ErrClosed, and the end
//
// etcd asks for permission when a watch is made: one that is open keeps delivering after its role was revoked or its user deleted, until it connects next.
//
// It never gives up: it comes back with growing, random waits of a second at most. Nobody who watches is blocked longer than the own context
// says; with no server there is just nothing to tell. [Cache.LastContact] says when the server last did what it was asked, and a silent one
// is asked every three seconds. Alert on the age of that, more than ten seconds or so: what a cache holds stays readable, but is what was true then.
//
// A change set ends in Synced. Before that the consumer holds a mixture that etcd never held; Revisions gives such a set as one group, and a Cache
// shows it at once. Its deletes come first, at the revision before the gap, then its puts in the order of their revisions. Where the server
// was wiped or restored, the revision of the deletes is 0, since what was before has none in the history that the server has now.
//
// A wiped or restored server is not told apart by any id: it has those of before, and its revisions may be higher than the last one seen.
// So after each reconnection the server is asked whether its history, at the last revision seen, is what is known: the number
// of keys, and the last hundred that were put.
//
// # Resuming
//
// A consumer that remembers where it was goes on from there, in another process too. A revision may hold several events, since a transaction
// may change several keys, so a place is an [ID], not a revision. This is all that server-sent events need:
//
//	for group, err := range watch.Revisions(ctx, client, "flags/", watch.After(r.Header.Get("Last-Event-ID"))) {
//		if err != nil {
//			return
//		}
//		for i, e := range group {
//			fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s=%s\n\n", watch.ID(group, i), e.Type, e.Key, e.Value)
//		}
//		w.(http.Flusher).Flush()
//	}
//
// Where what followed is compacted, or the revision is one that the server has not reached, there is no going on. Then the first event is
// Reset, and a snapshot follows: whoever holds keys from before forgets them. That happens also to one who was away for longer than the
// server keeps its history (an hour, with package embedded). One case cannot be told: a server that was wiped or restored while the consumer was
// away, and has passed its revision since.
//
// # What it costs
//
// All who watch the same prefix through the same client share one etcd watch, on a gRPC stream of its own, and one copy of
// the prefix in memory; a snapshot for a second watcher takes one request for the current revision. Those that resume read what is not in memory
// by one more etcd watch, one after the other, until they have caught up. A consumer that
// falls behind by more than 1024 events or 4 MiB gets one entry for each key instead of a longer queue. After an absence etcd's client
// hands over as much as a thousand revisions at once, and holds them until then. When the last watcher has gone, nothing is
// left, except that a stream that etcd's client is about to open, while its server is away, can be given up only when that is back, or by closing the client.
//
// Values and groups are shared by all who watch: they are for reading only.
package watch
