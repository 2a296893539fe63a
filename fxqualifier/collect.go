package fxqualifier

import (
	"cmp"
	"context"
	"slices"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/internal/fxloc"
)

const groupTag = `group:"fxqualifier.members"`

// Collect provides *Set[T], the lookup over all that was provided as T with qualifiers, by whichever module. It is
// given to an application once, by the owner of T. The members are built when the Set is, which is when somebody
// takes it; what does not depend on them, the checks of qualifiers across all sets, is done in any case.
func Collect[T any]() fx.Option {
	at := fxloc.CallerPC(0)
	return fx.Options(
		fx.Provide(
			fxloc.AtPC(fx.Annotate(newOrder[T], fx.ParamTags(registrationsTag)), at),
			fxloc.AtPC(fx.Annotate(collect[T], fx.ParamTags("", groupTag)), at),
		),
		fx.Invoke(func(*order[T]) {}),
	)
}

// An entry is a member of Set[T] on its way through Fx.
type entry[T any] struct {
	number     int
	qualifiers []Qualifier
	where      string
	value      T
	get        func(context.Context) (T, error)
}

// An order numbers the members of Set[T] in one application. Fx runs the providers of a group in the order in which it
// registered them, and shuffles only what they returned: the numbers put it right again.
type order[T any] struct{ next int }

// newOrder is where every member of the Set and the Set itself begin, so the checks stand here: nothing is built if
// they fail.
func newOrder[T any](registrations []registration) (*order[T], error) {
	// Fx shuffles them; an error must read the same in every run.
	slices.SortStableFunc(registrations, func(a, b registration) int { return cmp.Compare(a.where, b.where) })
	if err := checkRegistrations(registrations); err != nil {
		return nil, err
	}
	return &order[T]{}, nil
}

func (o *order[T]) take() int {
	o.next++
	return o.next
}

func collect[T any](_ *order[T], entries []entry[T]) *Set[T] {
	slices.SortFunc(entries, func(a, b entry[T]) int { return cmp.Compare(a.number, b.number) })
	return newSet(entries)
}
