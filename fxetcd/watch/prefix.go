package watch

import (
	"context"
	"errors"
	"fmt"
	"iter"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Prefix watches all keys that begin with prefix ("" is all keys): first a snapshot of them, in the order in which they were put, and
// Synced; then each change, in order, none missing and none twice, until ctx ends or the loop does.
//
// It survives what happens to servers and connections. Where etcd no longer has the changes since the last one seen, because they were compacted
// or the server was wiped or restored, the consumer gets the difference instead: a change set that ends in Synced. A consumer that is
// slower than the changes gets the latest of each key, as a change set too.
//
// An error in the sequence is one that waiting will not heal: the server refuses (no permission, wrong password) or the client does (a
// value larger than it may receive), once until that changes, and the watch goes on if the loop does; or the client is closed (ErrClosed),
// an option makes no sense, and the sequence ends. When ctx ends, so does the sequence, without an error.
func Prefix(ctx context.Context, c *clientv3.Client, prefix string, opts ...Option) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for group, err := range Revisions(ctx, c, prefix, opts...) {
			if err != nil {
				if !yield(Event{}, err) {
					return
				}
				continue
			}
			for _, e := range group {
				if ctx.Err() != nil || !yield(e, nil) {
					return
				}
			}
		}
	}
}

// Revisions is Prefix for those who need to know which events belong together: the events of one revision, or a snapshot or another change
// set up to its Synced. The groups are shared by all that watch the prefix: they are for reading only.
func Revisions(ctx context.Context, c *clientv3.Client, prefix string, opts ...Option) iter.Seq2[[]Event, error] {
	o := options{start: -1}
	for _, option := range opts {
		if option != nil {
			option.apply(&o)
		}
	}
	return func(yield func([]Event, error) bool) {
		if c == nil {
			o.err = errors.New("the client is nil")
		}
		if o.err != nil {
			yield(nil, fmt.Errorf("watch: prefix %q: %w", prefix, o.err))
			return
		}
		member := newSubscription(o.start, o.seen)
		source := subscribe(c, prefix, member)
		defer unsubscribe(source, member)
		for {
			b, err := source.read(ctx, member)
			switch {
			case err != nil:
				if !yield(nil, err) || errors.Is(err, ErrClosed) {
					return
				}
			case b == nil:
				return
			default:
				if events := b.events; !yield(events[:len(events):len(events)], nil) {
					return
				}
			}
		}
	}
}
