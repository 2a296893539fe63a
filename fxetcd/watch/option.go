package watch

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Option changes where a watch starts.
type Option interface{ apply(*options) }

type options struct {
	start int64 // -1: a snapshot
	seen  int   // events of the revision after start that the consumer has
	err   error
}

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// FromRevision starts with what happened after a revision instead of with a snapshot. The revision must be one of which the consumer has
// seen all events: a transaction may change several keys in one. See After for one that keeps track of that.
//
// If etcd no longer has what happened since (the revision is compacted), or has not come so far (it was wiped or restored), the
// watch says Reset and starts with a snapshot after all.
//
// What is not in memory is read by an etcd watch of its own, besides the one that all share, until the consumer has caught up.
func FromRevision(revision int64) Option {
	return optionFunc(func(o *options) {
		o.start, o.seen, o.err = revision, 0, nil
		if revision < 0 {
			o.err = fmt.Errorf("revision %d is negative: want that of an event, or 0 for everything that etcd has not compacted", revision)
		}
	})
}

// After starts after the event that an ID stands for, like FromRevision, and not twice with the events before it in its
// revision. The empty ID starts with a snapshot, as a watch does without options.
func After(id string) Option {
	return optionFunc(func(o *options) { o.start, o.seen, o.err = place(id) })
}

// CheckID tells whether After takes an id: what is none that a watch gave is an error, which a server can answer before it begins to stream.
func CheckID(id string) error {
	_, _, err := place(id)
	return err
}

// place is where a watch starts after an id: behind a revision and so many events of the next.
func place(id string) (start int64, seen int, err error) {
	if id == "" {
		return -1, 0, nil
	}
	revision, part, partly := strings.Cut(id, ".")
	if start, err = parse(revision, 0); err == nil && partly {
		var n int64
		n, err = parse(part, 1)
		start, seen = start-1, int(min(n, 1<<30))
	}
	if err != nil || start < 0 {
		return 0, 0, fmt.Errorf("id %q is none that a watch gave: want a revision, as in 17, or a part of one, as in 17.2", id)
	}
	return start, seen, nil
}

func parse(digits string, atLeast int64) (int64, error) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err == nil && (n < atLeast || digits[0] < '0' || digits[0] > '9') {
		err = errors.New("out of range")
	}
	return n, err
}

// ID stands for the i-th event of a group that Revisions gave: After(ID(group, i)) continues behind it. It is a revision in most cases,
// and fits the id of a server-sent event. Within a change set there may be no such place between two events; then ID stands for one before them.
// After Reset, and among the deletes by which a consumer learns of a wiped or restored server, there is none at all: that ID leads to Reset.
func ID(group []Event, i int) string {
	revision := group[i].Revision
	changeSet := group[len(group)-1].Type == Synced
	switch {
	case group[i].Type == Reset || revision == 0 && group[i].Type == Delete:
		return strconv.FormatInt(math.MaxInt64, 10) // which no server reaches
	case i == len(group)-1 || changeSet && (group[i+1].Revision != revision || group[i+1].Type == Synced):
		return strconv.FormatInt(revision, 10)
	case changeSet:
		return strconv.FormatInt(max(0, revision-1), 10)
	default:
		return fmt.Sprintf("%d.%d", revision, i+1)
	}
}
