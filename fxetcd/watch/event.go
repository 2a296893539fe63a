package watch

import "fmt"

// Type is what an Event tells.
type Type int

const (
	// Put: the key has the value, since the revision.
	Put Type = iota
	// Delete: the key is gone. In a change set that replaces events which the server no longer has, Revision is the one before the gap, or 0
	// where the server was wiped or restored: the revisions of before mean something else now.
	Delete
	// Synced: what has been applied so far is what etcd held at the revision. It ends each snapshot and each change set.
	Synced
	// Reset: the watch cannot go on after the revision that FromRevision or After gave. Whoever holds keys from before forgets
	// them: a complete snapshot follows, up to Synced. Revision is the one asked for.
	Reset
)

// String is the constant's name.
func (t Type) String() string {
	switch t {
	case Put:
		return "Put"
	case Delete:
		return "Delete"
	case Synced:
		return "Synced"
	case Reset:
		return "Reset"
	default:
		return fmt.Sprintf("Type(%d)", int(t))
	}
}

// Event is one step of a watch. Value is shared by all that watch the prefix: it is for reading only.
type Event struct {
	Type     Type
	Key      string // as the client sees it: without its namespace
	Value    []byte // of a Put
	Revision int64  // etcd's, of the whole cluster; a Put's and a Delete's is that of the write
}

// batch is the events of one revision, or a change set, which ends in Synced. It is shared, and never changed once it was published.
type batch struct {
	events   []Event
	creates  []bool // for each event: it puts a key that was absent
	set      bool
	diverged bool  // a set that leads to another history of the server
	revision int64 // where a watch is after it
	size     int   // bytes of keys and values
}

func (b *batch) add(e Event, creates bool) {
	b.events = append(b.events, e)
	b.creates = append(b.creates, creates)
	b.size += len(e.Key) + len(e.Value)
}

// without is the events of a revision without the first n, which the consumer has.
func (b *batch) without(n int) *batch {
	if b.set || n == 0 {
		return b
	}
	rest := &batch{revision: b.revision}
	for i := min(n, len(b.events)); i < len(b.events); i++ {
		rest.add(b.events[i], b.creates[i])
	}
	return rest
}
