package fxqualifier

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.uber.org/fx"
)

const (
	registrationsName = "fxqualifier.registrations"
	registrationsTag  = `group:"` + registrationsName + `"`
)

// A registration is what one call of an option declares, for the checks across all sets. It needs nothing of the
// graph, so the checks run before anything is built.
type registration struct {
	typ     reflect.Type
	where   string
	members [][]Qualifier

	// Attributes that are used whether there are members or not: what configuration lists must not decide whether
	// a program is right.
	attributes []Qualifier
}

func register[T any](where string, attributes []Qualifier, members ...[]Qualifier) fx.Option {
	r := registration{reflect.TypeFor[T](), where, members, attributes}
	return fx.Supply(fx.Annotated{Group: registrationsName, Target: r})
}

// checkRegistrations finds members of one type with the same qualifiers, and attributes with several value types.
func checkRegistrations(registrations []registration) error {
	return errors.Join(append(sameQualifiers(registrations), severalTypes(registrations)...)...)
}

func sameQualifiers(registrations []registration) []error {
	type key struct {
		typ  reflect.Type
		name string
	}
	provided := make(map[key][]string)
	for _, r := range registrations {
		for _, qs := range r.members {
			k := key{r.typ, describe(r.typ, qs)}
			provided[k] = append(provided[k], r.where)
		}
	}
	var errs []error
	for k, where := range provided {
		if len(where) > 1 {
			errs = append(errs, fmt.Errorf("fxqualifier: %s is provided %d times, and qualifiers must tell its members apart: by %s",
				k.name, len(where), strings.Join(where, " and by ")))
		}
	}
	return sorted(errs)
}

func severalTypes(registrations []registration) []error {
	type use struct {
		typ   reflect.Type
		where string
	}
	uses := make(map[string][]use)
	for _, r := range registrations {
		for _, q := range slices.Concat(append(slices.Clip(r.members), r.attributes)...) {
			id := q.id()
			known := func(u use) bool { return u.typ == id.typ }
			if id.name != "" && !slices.ContainsFunc(uses[id.name], known) {
				uses[id.name] = append(uses[id.name], use{id.typ, r.where})
			}
		}
	}
	var errs []error
	for name, types := range uses {
		if len(types) < 2 {
			continue
		}
		var who []string
		for _, u := range types {
			who = append(who, fmt.Sprintf("%s by %s", fullName(u.typ), u.where))
		}
		errs = append(errs, fmt.Errorf("fxqualifier: attribute %q must have one type of value, and is used with %d: %s",
			name, len(types), strings.Join(who, " and ")))
	}
	return sorted(errs)
}

// sorted puts in order what was found by going through a map: an error must read the same in every run.
func sorted(errs []error) []error {
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errs
}
