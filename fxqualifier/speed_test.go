package fxqualifier_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fxkit/fxkit/fxqualifier"
)

// Q9. That it takes at most three times a read of a map is measured in bench.
func TestQ9_Get_by_one_qualifier_does_not_allocate(t *testing.T) {
	// AllocsPerRun counts for the whole process: not parallel.
	var members []fxqualifier.Member[Hello]
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("some name ", i)
		members = append(members, member(names[i], Kind.Of(names[i]), Shard.Of(i)))
	}
	set := newSet(t, members...)
	ctx, i := t.Context(), 0
	get := func(qualifier func(i int) fxqualifier.Qualifier) func() {
		return func() {
			i = (i + 1) % len(names)
			if _, err := set.Get(ctx, qualifier(i)); err != nil {
				t.Error(err)
			}
		}
	}
	assert.Zero(t, testing.AllocsPerRun(1000, get(func(i int) fxqualifier.Qualifier { return Kind.Of(names[i]) })), "text")
	assert.Zero(t, testing.AllocsPerRun(1000, get(func(i int) fxqualifier.Qualifier { return Shard.Of(i) })), "a number")
}
