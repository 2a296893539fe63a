package fxqualifier

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/fxkit/fxkit/internal/fxloc"
	"github.com/fxkit/fxkit/internal/spelling"
)

var (
	// ErrNotFound is what Get returns if no member carries all the qualifiers that were asked for.
	ErrNotFound = errors.New("fxqualifier: not found")

	// ErrAmbiguous is what Get returns if several members do.
	ErrAmbiguous = errors.New("fxqualifier: ambiguous")
)

// maxListed is how many members an error lists.
const maxListed = 20

// A lookupError is written out only if somebody reads it: a lookup that may fail can stand on a request path.
type lookupError struct {
	*catalogue
	typ    reflect.Type
	asked  []Qualifier
	caller uintptr // of the call of Get; Line wants where that returns to
}

func (e *lookupError) Unwrap() error {
	for range e.matching(e.asked) {
		return ErrAmbiguous
	}
	return ErrNotFound
}

func (e *lookupError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fxqualifier: get %s, asked for at %s: ", describe(e.typ, e.asked), fxloc.Line(e.caller+1))
	listed := slices.Collect(e.matching(e.asked))
	if len(listed) > 1 {
		fmt.Fprintf(&b, "ambiguous: %d members match%s:", len(listed), e.tellApart(listed))
	} else {
		fmt.Fprintf(&b, "not found: %s", e.whyNone())
		if listed = e.nearestFirst(); len(listed) > 0 {
			b.WriteString("; there are:")
		}
	}
	for n, i := range listed {
		if n == maxListed {
			fmt.Fprintf(&b, "\n\tand %d more", len(listed)-n)
			break
		}
		fmt.Fprintf(&b, "\n\t%s of %s", describe(e.typ, e.members[i].qualifiers), e.members[i].where)
	}
	return b.String()
}

// nearestFirst are all members: first those that carry most of what was asked for, then in the order of registration.
func (e *lookupError) nearestFirst() []int32 {
	carried := func(i int32) (count int) {
		for _, q := range e.asked {
			if slices.Contains(e.members[i].qualifiers, q) {
				count++
			}
		}
		return count
	}
	all := slices.Clone(e.all)
	slices.SortStableFunc(all, func(a, b int32) int { return cmp.Compare(carried(b), carried(a)) })
	return all
}

// whyNone is the reason why no member matches, with the nearest spelling of what was asked for.
func (e *lookupError) whyNone() string {
	if len(e.members) == 0 {
		return fmt.Sprintf("no %v was provided with fxqualifier.Provide", e.typ)
	}
	names, types := make([]string, len(e.attributes)), make(map[string]reflect.Type)
	for i, a := range e.attributes {
		id := a.id.Value()
		names[i], types[id.name] = id.name, id.typ
	}
	var reasons []string
	for _, q := range e.asked {
		id, a := q.id(), e.attribute(q.attribute)
		switch {
		case a == nil && types[id.name] != nil:
			reasons = append(reasons, fmt.Sprintf("the values of attribute %q are of type %s, not %s", id.name, fullName(types[id.name]), fullName(id.typ)))
		case a == nil:
			reasons = append(reasons, fmt.Sprintf("no member has the attribute %q%s", id.name, spelling.Hint(id.name, names)))
		case len(e.having(&q)) == 0:
			reasons = append(reasons, fmt.Sprintf("no member has %v%s", q, spelling.Hint(q.text, slices.Sorted(maps.Keys(a.texts)))))
		}
	}
	if len(reasons) == 0 {
		return "no member has all of these together"
	}
	return strings.Join(reasons, ", and ")
}

// tellApart names the attributes by which the members that match can be told apart.
func (e *lookupError) tellApart(matches []int32) string {
	var names []string
	for _, i := range matches {
		for _, q := range e.members[i].qualifiers {
			asked := slices.ContainsFunc(e.asked, func(a Qualifier) bool { return a.attribute == q.attribute })
			if name := q.id().name; !asked && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (ask also for " + strings.Join(names, ", ") + ")"
}
