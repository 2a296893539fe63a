package watch

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// These are inside of the package, since from outside a consumer cannot be made slow before it has seen anything.

func TestE11_a_consumer_that_has_seen_a_part_of_a_revision_is_told_of_a_delete_in_it(t *testing.T) {
	t.Parallel()
	s := newSubscription(2, 1) // After("3.1")
	first := &batch{revision: 3}
	first.add(Event{Type: Put, Key: "seen", Revision: 3}, true)
	first.add(Event{Type: Put, Key: "stays", Revision: 3}, true)
	first.add(Event{Type: Put, Key: "passing", Revision: 3}, true)
	s.push(first)
	gone := &batch{revision: 4}
	gone.add(Event{Type: Delete, Key: "seen", Revision: 4}, false)
	gone.add(Event{Type: Delete, Key: "passing", Revision: 4}, false)
	s.push(gone)
	for i := range int64(maxEvents) {
		b := &batch{revision: 5 + i}
		b.add(Event{Type: Put, Key: "other", Revision: 5 + i}, i == 0)
		s.push(b)
	}
	b, _, _ := s.take()
	last := int64(4 + maxEvents)
	assert.Equal(t, []Event{
		{Type: Put, Key: "stays", Revision: 3},
		{Type: Delete, Key: "seen", Revision: 4},
		{Type: Put, Key: "other", Revision: last},
		{Type: Synced, Revision: last},
	}, b.events)
}

func TestE11_a_consumer_that_has_left_does_not_join_again(t *testing.T) {
	t.Parallel()
	left, stays := newSubscription(-1, 0), newSubscription(-1, 0)
	left.leave()
	var s source
	s.asking = []*subscription{left, stays}
	s.rejoin()
	assert.Equal(t, []*subscription{stays}, s.joining)
}
