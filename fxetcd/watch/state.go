package watch

import (
	"bytes"
	"cmp"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// state is what the prefix holds at a revision.
type state struct {
	entries  map[string]entry
	revision int64
	cached   *batch // the snapshot at revision, if somebody asked for it
}

type entry struct {
	value    []byte
	revision int64 // of the last put
}

// is tells whether the entry is what the server holds. No key has the revision 0 of an entry that is not there.
func (e entry) is(kv *mvccpb.KeyValue) bool {
	return e.revision == kv.ModRevision && bytes.Equal(e.value, kv.Value)
}

// apply moves the state forward by what a watch delivered, and returns it by revision. What the state has already is left out:
// the server repeats itself after a reconnection, and a watch is opened before the snapshot that it continues is read.
func (s *state) apply(events []*clientv3.Event) []*batch {
	var batches []*batch
	for _, e := range events {
		last := len(batches) - 1
		if e.Kv.ModRevision <= s.revision && (last < 0 || batches[last].revision != e.Kv.ModRevision) {
			continue
		}
		if last < 0 || batches[last].revision != e.Kv.ModRevision {
			batches = append(batches, &batch{revision: e.Kv.ModRevision})
			last++
		}
		batches[last].add(eventOf(e))
		if e.Type == mvccpb.Event_DELETE {
			delete(s.entries, string(e.Kv.Key))
		} else {
			s.entries[string(e.Kv.Key)] = entry{e.Kv.Value, e.Kv.ModRevision}
		}
		s.moveTo(e.Kv.ModRevision)
	}
	return batches
}

func eventOf(e *clientv3.Event) (event Event, creates bool) {
	if e.Type == mvccpb.Event_DELETE {
		return Event{Type: Delete, Key: string(e.Kv.Key), Revision: e.Kv.ModRevision}, false
	}
	return Event{Type: Put, Key: string(e.Kv.Key), Value: e.Kv.Value, Revision: e.Kv.ModRevision}, e.Kv.Version == 1
}

func (s *state) moveTo(revision int64) {
	s.revision = revision
	s.cached = nil
}

// replace makes the state what a new snapshot holds, and returns the difference as a change set, which may be nothing but Synced.
//
// Deletes come first, at the revision before the gap, and puts follow in the order of their revisions. So whoever stops in the
// middle of a change set may resume after the revision of the last event it has seen, and misses nothing. If the server's history
// is another one, the revision before the gap is none of it, and deletes have none.
func (s *state) replace(entries map[string]entry, revision int64, diverged bool) *batch {
	b := &batch{set: true, diverged: diverged, revision: revision}
	gap := s.revision
	if diverged {
		gap = 0
	}
	for key := range s.entries {
		if _, ok := entries[key]; !ok {
			b.add(Event{Type: Delete, Key: key, Revision: gap}, false)
		}
	}
	slices.SortFunc(b.events, func(x, y Event) int { return cmp.Compare(x.Key, y.Key) })
	b.addPuts(entries, func(key string, e entry) (changed, creates bool) {
		old, ok := s.entries[key]
		return !ok || old.revision != e.revision || !bytes.Equal(old.value, e.value), !ok
	})
	s.entries = entries
	s.moveTo(revision)
	b.add(Event{Type: Synced, Revision: revision}, false)
	return b
}

// snapshot is the whole state as a change set for whoever has nothing yet. Those who ask at the same revision share it.
func (s *state) snapshot() *batch {
	if s.cached == nil {
		b := &batch{set: true, revision: s.revision}
		b.addPuts(s.entries, func(string, entry) (bool, bool) { return true, true })
		b.add(Event{Type: Synced, Revision: s.revision}, false)
		s.cached = b
	}
	return s.cached
}

// resetTo is the snapshot for whoever held something else before, up to a revision that is gone.
func (s *state) resetTo(gone int64) *batch {
	snapshot := s.snapshot()
	b := &batch{set: true, revision: s.revision}
	b.add(Event{Type: Reset, Revision: gone}, false)
	b.events = append(b.events, snapshot.events...)
	b.creates = append(b.creates, snapshot.creates...)
	b.size = snapshot.size
	return b
}

func (b *batch) addPuts(entries map[string]entry, choose func(string, entry) (add, creates bool)) {
	type put struct {
		key     string
		entry   entry
		creates bool
	}
	var puts []put
	for key, e := range entries {
		if add, creates := choose(key, e); add {
			puts = append(puts, put{key, e, creates})
		}
	}
	slices.SortFunc(puts, func(x, y put) int {
		return cmp.Or(cmp.Compare(x.entry.revision, y.entry.revision), cmp.Compare(x.key, y.key))
	})
	b.events, b.creates = slices.Grow(b.events, len(puts)+1), slices.Grow(b.creates, len(puts)+1)
	for _, p := range puts {
		b.add(Event{Type: Put, Key: p.key, Value: p.entry.value, Revision: p.entry.revision}, p.creates)
	}
}

// agrees tells whether the state is what the server holds at the same revision, going by the number of keys there, and by those put last.
func (s *state) agrees(latest []*mvccpb.KeyValue, count int64) bool {
	if int(count) != len(s.entries) {
		return false
	}
	var newest int64
	for _, e := range s.entries {
		newest = max(newest, e.revision)
	}
	for i, kv := range latest {
		if !s.entries[string(kv.Key)].is(kv) || (i == 0 && kv.ModRevision != newest) {
			return false
		}
	}
	return true
}

// progress moves the state forward where nothing has changed.
func (s *state) progress(revision int64) {
	if s.cached != nil {
		moved := *s.cached
		moved.revision = revision
		moved.events = append(s.cached.events[:len(s.cached.events)-1:len(s.cached.events)-1], Event{Type: Synced, Revision: revision})
		s.cached = &moved
	}
	s.revision = revision
}
