package fxscope

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/internal/fxloc"
)

var (
	errorType     = reflect.TypeFor[error]()
	contextType   = reflect.TypeFor[context.Context]()
	scopeType     = reflect.TypeFor[*Scope]()
	scopesType    = reflect.TypeFor[*Scopes]()
	groupType     = reflect.TypeFor[*fxbackground.Group]()
	lifecycleType = reflect.TypeFor[fx.Lifecycle]()
)

// reserved types come from the scope itself, so nobody can provide them.
func reserved(t reflect.Type) bool {
	switch t {
	case contextType, scopeType, scopesType, groupType:
		return true
	}
	return false
}

// A declaration is what one constructor takes and gives, read once when the option is made. It does not change: an
// option may be used in several applications.
type declaration struct {
	fn      any
	where   string // "pkg.NewOrders (…/orders.go:41)"
	results []result
	errAt   int // the result that is an error, or -1
	params  []param
	wants   []want

	qualifiers []fxqualifier.Qualifier // of ProvideQualified
}

type result struct {
	key
	made    reflect.Type // what the constructor returns
	convert bool         // made implements key.t rather than being it
}

// A param is one parameter: an fx.In struct, whose fields are wants, or a want itself.
type param struct {
	t        reflect.Type
	in       bool
	variadic bool
}

// A want is one thing that a constructor takes: a parameter, or a field of an fx.In.
type want struct {
	key
	param    int
	field    []int  // within the fx.In; nil for a plain parameter
	what     string // "parameter 2", "field Pool of shop.OrdersParams"
	group    string
	optional bool
	side     side
}

// declare reads a constructor. What is wrong with it in itself is an error here, before there is a plan.
func declare(constructor any) (*declaration, error) {
	v := reflect.ValueOf(constructor)
	if v.Kind() != reflect.Func || v.IsNil() {
		return nil, fmt.Errorf("a constructor must be a function, got %s%s", fxloc.Func(constructor), annotationHint(constructor))
	}
	d := &declaration{fn: constructor, where: fxloc.Func(constructor), errAt: -1}
	if err := errors.Join(d.readResults(v.Type()), d.readParams(v.Type())); err != nil {
		return nil, err
	}
	return d, nil
}

func annotationHint(constructor any) string {
	if t := reflect.TypeOf(constructor); t != nil && t.PkgPath() == "go.uber.org/fx" {
		return ": annotations are Fx's own; write a function that returns the interface, or takes an fx.In with the names"
	}
	return ""
}

func (d *declaration) readResults(t reflect.Type) error {
	var errs []error
	n := t.NumOut()
	if n > 0 && t.Out(n-1) == errorType {
		n--
		d.errAt = n
	}
	if n == 0 {
		return fmt.Errorf("%s has no result: a constructor returns what the scope is to have", d.where)
	}
	for i := range n {
		out := t.Out(i)
		switch {
		case out == errorType:
			errs = append(errs, fmt.Errorf("%s returns an error as result %d: an error must be the last result", d.where, i+1))
		case dig.IsOut(out):
			errs = append(errs, fmt.Errorf("%s returns %v, an fx.Out: return several results, or use ProvideQualified for names", d.where, out))
		case dig.IsIn(out):
			errs = append(errs, fmt.Errorf("%s returns %v, an fx.In: those are for parameters", d.where, out))
		case hookOfPointer(out) != "":
			errs = append(errs, fmt.Errorf("%s returns %v, whose hook %s is declared on the pointer, so a copy would never run it: return *%v", d.where, out, hookOfPointer(out), out))
		case reserved(out):
			errs = append(errs, fmt.Errorf("%s returns %v: every scope has its own already", d.where, out))
		}
		d.results = append(d.results, result{key: key{t: out}, made: out})
	}
	return errors.Join(errs...)
}

func (d *declaration) readParams(t reflect.Type) error {
	var errs []error
	for i := range t.NumIn() {
		p := param{t: t.In(i)}
		switch {
		case t.IsVariadic() && i == t.NumIn()-1:
			p.variadic = true
		case dig.IsIn(p.t):
			p.in = true
			errs = append(errs, d.readFields(i, p.t, p.t, nil))
		default:
			w := want{key: key{t: p.t}, param: i, what: fmt.Sprintf("parameter %d", i+1)}
			errs = append(errs, d.refuse(&w))
			d.wants = append(d.wants, w)
		}
		d.params = append(d.params, p)
	}
	return errors.Join(errs...)
}

// refuse says why a constructor cannot take what it wants, or nil.
func (d *declaration) refuse(w *want) error {
	switch {
	case w.t == lifecycleType:
		return fmt.Errorf("%s takes fx.Lifecycle (%s), whose hooks live as long as the application: give the object fxlifecycle's methods (Init, PreDestroy, Destroy), which run with its scope", d.where, w.what)
	case w.t == errorType:
		return fmt.Errorf("%s takes an error (%s), which nobody can provide", d.where, w.what)
	case w.t.Kind() == reflect.Pointer && dig.IsIn(w.t.Elem()):
		return fmt.Errorf("%s takes %v (%s): take an fx.In by value", d.where, w.t, w.what)
	case dig.IsOut(w.t):
		return fmt.Errorf("%s takes %v (%s), an fx.Out: those are for results", d.where, w.t, w.what)
	case reserved(w.t) && (w.name != "" || w.side == singletonSide):
		return fmt.Errorf("%s takes %v with a name or as a singleton (%s): every scope has its own, without a name", d.where, w.t, w.what)
	}
	return nil
}
