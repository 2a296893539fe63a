package fxqualifier

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fxkit/fxkit/internal/spelling"
)

var (
	// ErrNotFound is what Get returns if no member carries all the qualifiers that were asked for.
	ErrNotFound = errors.New("not found")

	// ErrAmbiguous is what Get returns if several members do.
	ErrAmbiguous = errors.New("ambiguous")
)

// maxListed is how many members an error lists.
const maxListed = 20

// A lookupError is written out only if somebody reads it: a lookup that may fail can stand on a request path.
type lookupError struct {
	*catalogue
	asked  []Qualifier
	caller string
}

func (c *catalogue) lookupError(asked []Qualifier, caller string) error {
	return &lookupError{c, slices.Clone(asked), caller}
}

func (c *catalogue) resolveError(i int, err error) error {
	m := c.members[i]
	return fmt.Errorf("fxqualifier: get %s of %s: %w", describe(c.typ, m.qualifiers), m.where, err)
}

func (e *lookupError) Unwrap() error {
	if _, count := e.one(e.asked); count > 1 {
		return ErrAmbiguous
	}
	return ErrNotFound
}

func (e *lookupError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fxqualifier: get %s at %s: %v: ", describe(e.typ, e.asked), e.caller, e.Unwrap())
	listed := slices.Collect(e.matching(e.asked))
	if len(listed) > 1 {
		fmt.Fprintf(&b, "%d members match%s:", len(listed), e.tellApart(listed))
	} else {
		b.WriteString(e.whyNone())
		for i := range e.members {
			listed = append(listed, i)
		}
		if len(listed) > 0 {
			b.WriteString("; there are:")
		}
	}
	for n, i := range listed {
		if n == maxListed {
			fmt.Fprintf(&b, "\n\tand %d more", len(listed)-n)
			break
		}
		fmt.Fprintf(&b, "\n\t[%s] of %s", Name(e.members[i].qualifiers...), e.members[i].where)
	}
	return b.String()
}

// whyNone is the reason why no member matches, with the nearest spelling of what was asked for.
func (e *lookupError) whyNone() string {
	if len(e.members) == 0 {
		return fmt.Sprintf("nothing was provided as %v with fxqualifier.Provide", e.typ)
	}
	var reasons []string
	for _, q := range e.asked {
		a := e.attribute(q.attribute)
		switch {
		case a == nil:
			names := make([]string, len(e.attributes))
			for i := range e.attributes {
				names[i] = e.attributes[i].name
			}
			reasons = append(reasons, fmt.Sprintf("no member has the attribute %q%s", q.attribute, spelling.Hint(q.attribute, names)))
		case a.typ != q.typ:
			reasons = append(reasons, fmt.Sprintf("the values of attribute %q are of type %v, not %v", q.attribute, a.typ, q.typ))
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
func (e *lookupError) tellApart(matches []int) string {
	var names []string
	for _, i := range matches {
		for _, q := range e.members[i].qualifiers {
			asked := slices.ContainsFunc(e.asked, func(a Qualifier) bool { return a.attribute == q.attribute })
			if !asked && !slices.Contains(names, q.attribute) {
				names = append(names, q.attribute)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return " (ask also for " + strings.Join(names, ", ") + ")"
}
