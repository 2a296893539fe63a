package fxscope

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/internal/fxloc"
)

// Provide makes what the constructors return part of every scope: one object per result and scope, built when it is
// first asked for, with Get or by another scoped constructor.
//
// A constructor may take context.Context, *Scope, *Scopes, the scope's *fxbackground.Group, Values, what other scoped
// constructors return, and whatever Fx provides; names, groups and optional wants in an fx.In. A type that both Fx and
// the scope provide needs the tag `scope:"singleton"` or `scope:"request"` there. A variadic parameter gets nothing. The
// last result may be an error.
func Provide(constructors ...any) fx.Option {
	var opts []fx.Option
	var where []string
	for _, constructor := range constructors {
		d, err := declare(constructor)
		if err != nil {
			opts = append(opts, fx.Error(prefixed("provide", err)))
			continue
		}
		opts = append(opts, d.option())
		where = append(where, d.where)
	}
	return fx.Options(append(opts, needsModule(strings.Join(where, ", ")))...)
}

// ProvideQualified makes what constructor returns part of every scope as T, under fxqualifier.Name(qs...), and a
// member of fxqualifier.Set[T]: the Set gets the object of the scope that its caller's context has. Beside the names of
// Fx, an fx.In of a scoped constructor may use that name.
func ProvideQualified[T any](constructor any, qs ...fxqualifier.Qualifier) fx.Option {
	qs = slices.Clone(qs)
	get := func(ctx context.Context) (T, error) { return Get[T](ctx, qs...) }
	d, err := declare(constructor)
	if err == nil {
		err = d.qualify(reflect.TypeFor[T](), qs)
	}
	if err != nil {
		return fx.Error(prefixed(fmt.Sprintf("provide %v[%s]", reflect.TypeFor[T](), fxqualifier.Name(qs...)), err))
	}
	return fx.Options(
		d.option(),
		fxqualifier.Dynamic(constructor, get, qs...),
		needsModule(d.where),
	)
}

// qualify makes the one result of d one of type t with these qualifiers.
func (d *declaration) qualify(t reflect.Type, qs []fxqualifier.Qualifier) error {
	if reserved(t) {
		return fmt.Errorf("%s: every scope has its own %v already", d.where, t)
	}
	if len(d.results) != 1 || d.results[0].t != t && !(t.Kind() == reflect.Interface && d.results[0].t.Implements(t)) {
		return fmt.Errorf("%s must return %v, or what implements it, and possibly an error: its type is %v", d.where, t, reflect.TypeOf(d.fn))
	}
	seen := make(map[string]bool)
	for _, q := range qs {
		attribute, _, _ := strings.Cut(q.String(), "=")
		switch {
		case attribute == "":
			return fmt.Errorf("%s: a qualifier has no attribute: make attributes with fxqualifier.NewAttribute and a name", d.where)
		case seen[attribute]:
			return fmt.Errorf("%s: attribute %q is given twice: %v", d.where, attribute, qs)
		}
		seen[attribute] = true
	}
	r := &d.results[0]
	r.convert = r.t != t
	r.key = key{t, fxqualifier.Name(qs...)}
	d.qualifiers = qs
	return nil
}

// Value lets constructors take a T that whoever begins the scope puts into it with With. *http.Request is one already,
// for scopes that Middleware begins. To declare a Value again is the same as once.
func Value[T any]() fx.Option {
	t, where := reflect.TypeFor[T](), "Value at "+fxloc.Caller(0)
	if reserved(t) || t == lifecycleType || t == errorType {
		return fx.Error(fmt.Errorf("fxscope: %s: %v cannot be a Value", where, t))
	}
	return fx.Options(
		fx.Provide(fx.Annotated{Group: declaredGroup, Target: func() *bound { return &bound{value: t, valueAt: where} }}),
		needsModule(where),
	)
}

// installed tells whether Module is there. It has no dependencies, so that a missing Module is told from a broken plan.
type installed struct{}

// needsModule fails fx.New without Module, and has the plan made, and so checked, with it.
func needsModule(where string) fx.Option {
	type params struct {
		fx.In
		Installed *installed `optional:"true"`
	}
	return fx.Invoke(
		func(p params) error {
			if p.Installed == nil {
				return fmt.Errorf("fxscope: fxscope.Module is missing: pass it to fx.New, for %s", where)
			}
			return nil
		},
		func(*Scopes) {},
	)
}

// prefixed says of each of the joined errors where it comes from.
func prefixed(operation string, err error) error {
	//nolint:errorlint // what errors.Join made a moment ago
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("fxscope: %s: %w", operation, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, prefixed(operation, e))
	}
	return errors.Join(errs...)
}
