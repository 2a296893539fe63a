package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/internal/refusal"
)

// ErrClosed is the last that a watch says of a client that was closed under it.
var ErrClosed = errors.New("the etcd client is closed")

// hub is the watches that run now, so that those who watch the same prefix through the same client share one.
//
// A client has no place for a value of ours, and its type is etcd's, so the sharing needs this variable. It joins nothing but the users of
// one *clientv3.Client, which never belongs to two applications, and holds nothing of a client that has no watch.
var hub struct {
	sync.Mutex
	sources map[*clientv3.Client]map[string]*source
}

// subscribe joins the watch of a prefix, or starts it. Whoever subscribes must unsubscribe.
func subscribe(client *clientv3.Client, prefix string, member *subscription) *source {
	s := acquire(client, prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.end != nil:
		member.finish(s.end)
	case s.ready && member.start >= 0 && member.start <= s.state.revision:
		s.admit([]*subscription{member})
	default:
		s.joining = append(s.joining, member)
		s.notify()
	}
	if s.refused != nil {
		member.report(s.refused)
	}
	return s
}

func acquire(client *clientv3.Client, prefix string) *source {
	hub.Lock()
	defer hub.Unlock()
	s := hub.sources[client][prefix]
	if s == nil {
		if hub.sources == nil {
			hub.sources = map[*clientv3.Client]map[string]*source{}
		}
		if hub.sources[client] == nil {
			hub.sources[client] = map[string]*source{}
		}
		s = newSource(client, prefix)
		hub.sources[client][prefix] = s
		go s.run()
	}
	s.refs++
	return s
}

// unsubscribe leaves the watch. After the last one has left, it ends.
func unsubscribe(s *source, member *subscription) {
	hub.Lock()
	s.refs--
	last := s.refs == 0
	hub.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, member)
	for i, m := range s.joining {
		if m == member {
			s.joining = append(s.joining[:i], s.joining[i+1:]...)
			break
		}
	}
	member.leave()
	if last && s.interrupt != nil {
		s.interrupt() // in vain if somebody has joined since: then run goes on where it was
	}
}

// released removes a source that nobody subscribes to. Nobody can subscribe to it after that.
func released(s *source) bool {
	hub.Lock()
	defer hub.Unlock()
	if s.refs > 0 {
		return false
	}
	remove(s)
	return true
}

func remove(s *source) {
	delete(hub.sources[s.client], s.prefix)
	if len(hub.sources[s.client]) == 0 {
		delete(hub.sources, s.client)
	}
}

// finish ends all subscriptions, since the client is closed.
func (s *source) finish() {
	hub.Lock()
	remove(s)
	hub.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = s.explain(ErrClosed)
	for _, member := range s.everybody() {
		member.finish(s.end)
	}
}

func (s *source) everybody() []*subscription {
	all := slices.Concat(s.joining, s.asking)
	for _, b := range s.waiting {
		all = append(all, b.members...)
	}
	for member := range s.members {
		all = append(all, member)
	}
	return all
}

func (s *source) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// tell reports an error that somebody has to do something about, once until it changes or is gone. Others pass by themselves.
func (s *source) tell(err error) {
	err = hopeless(err)
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.explain(err)
	if s.refused != nil && s.refused.Error() == err.Error() {
		return
	}
	s.refused = err
	for _, member := range s.everybody() {
		member.report(s.refused)
	}
}

// allow says that a refusal is over. s.mu is held.
func (s *source) allow() {
	if s.refused == nil {
		return
	}
	s.refused = nil
	for _, member := range s.everybody() {
		member.allow()
	}
	s.mark()
}

// mark tells those who want to know where the watch is. s.mu is held.
func (s *source) mark() {
	for member := range s.members {
		if member.marks {
			member.push(&batch{revision: s.state.revision})
		}
	}
}

func (s *source) explain(err error) error {
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		err = fmt.Errorf("%w: the client's user needs permission to read the prefix", err)
	}
	return fmt.Errorf("watch: prefix %q: %w", s.prefix, err)
}

// hopeless returns what an error says that waiting alone does not cure, and nil if it says no such thing.
func hopeless(err error) error {
	var large *tooLargeError
	if errors.As(err, &large) {
		return large
	}
	return refusal.Of(err)
}

// admit begins the subscriptions of members, now that the state holds all that they must see: it has come at least as far as the server was
// after they came. s.mu is held.
func (s *source) admit(members []*subscription) {
	for _, member := range members {
		if member.gone() {
			continue
		}
		switch {
		case member.start < 0:
			member.push(s.state.snapshot())
		case member.start > s.state.revision:
			member.push(s.state.resetTo(member.start))
		case member.start < s.history.floor:
			member.fallBehind(&gap{after: member.start, until: s.state.revision, seen: member.seen, generation: s.generation})
			member.seen = 0
		default:
			for _, b := range s.history.since(member.start, s.state.revision) {
				member.push(b)
			}
		}
		s.members[member] = struct{}{}
	}
}

// read waits for what the subscription is to see next. It returns neither a batch nor an error when ctx has ended.
func (s *source) read(ctx context.Context, member *subscription) (*batch, error) {
	for ctx.Err() == nil {
		b, gap, err := member.take()
		if gap != nil {
			b, err = s.fill(ctx, member, gap)
		}
		if b != nil || err != nil {
			return b, err
		}
		if gap != nil {
			continue
		}
		select {
		case <-member.wake:
		case <-ctx.Done():
		}
	}
	return nil, nil
}
