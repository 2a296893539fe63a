package fxqualifier

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/internal/fxloc"
)

const (
	registrationsName = "fxqualifier.registrations"
	registrationsTag  = `group:"` + registrationsName + `"`
)

// A registration is what one call of an option declares, for the checks across all sets. It needs nothing of the
// graph, so the checks run before anything is built.
type registration struct {
	typ     reflect.Type
	members [][]Qualifier
	where   string
}

func register[T any](constructor any, members ...[]Qualifier) fx.Option {
	r := registration{reflect.TypeFor[T](), members, fxloc.Func(constructor)}
	return fx.Supply(fx.Annotated{Group: registrationsName, Target: r})
}

// checkRegistrations finds members of one type with the same qualifiers, and attributes with several value types.
func checkRegistrations(registrations []registration) error {
	// Fx shuffles them; an error must read the same in every run.
	slices.SortStableFunc(registrations, func(a, b registration) int { return cmp.Compare(a.where, b.where) })
	type key struct {
		typ  reflect.Type
		name string
	}
	members := make(map[key][]string)
	attributes := make(map[string]map[reflect.Type][]string)
	for _, r := range registrations {
		for _, qs := range r.members {
			k := key{r.typ, Name(qs...)}
			members[k] = append(members[k], r.where)
			for _, q := range qs {
				if attributes[q.attribute] == nil {
					attributes[q.attribute] = make(map[reflect.Type][]string)
				}
				if types := attributes[q.attribute]; !slices.Contains(types[q.typ], r.where) {
					types[q.typ] = append(types[q.typ], r.where)
				}
			}
		}
	}
	var errs []error
	for k, where := range members {
		if len(where) > 1 {
			errs = append(errs, fmt.Errorf("fxqualifier: %d members of Set[%v] have the same qualifiers [%s]: %s", len(where), k.typ, k.name, strings.Join(where, " and ")))
		}
	}
	for name, types := range attributes {
		if len(types) > 1 {
			errs = append(errs, attributeTypesError(name, types))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func attributeTypesError(name string, types map[reflect.Type][]string) error {
	var uses []string
	for typ, where := range types {
		uses = append(uses, fmt.Sprintf("%v by %s", fullName(typ), strings.Join(where, ", ")))
	}
	slices.Sort(uses)
	return fmt.Errorf("fxqualifier: attribute %q is used with %d value types: %s", name, len(types), strings.Join(uses, "; "))
}
