package fxscope

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/internal/fxloc"
)

const declaredGroup = "fxscope.declared"

// A witness is the proof that Fx could provide what a scoped constructor wants, with the value.
//
// To ask Fx for the thing itself would not do. Required, it would fail for all that is scoped. Optional, Fx gives the
// same zero for a value that nobody provides, for one whose provider lacks something, and for a nil.
type witness struct{ value reflect.Value }

// bound is a declaration in one application, with what Fx had for each of its wants: nil for nothing.
type bound struct {
	*declaration
	witnesses []*witness

	// For a Value there is no declaration, only its type and where it was declared.
	value   reflect.Type
	valueAt string
}

var (
	boundType   = reflect.TypeFor[*bound]()
	witnessType = reflect.TypeFor[*witness]()
)

// option gives Fx a provider of a witness for each want, and one of the declaration with all of them. To Fx these are the
// dependencies of whoever takes *Scopes, so it builds the singletons first and stops them last.
func (d *declaration) option() fx.Option {
	var providers []any
	types, tags, wants := []reflect.Type{}, []string{}, []int{}
	for i, w := range d.wants {
		if reserved(w.t) || w.side == requestSide {
			continue
		}
		name := d.witnessName(i)
		providers = append(providers, d.witnessOf(&w, name))
		types = append(types, witnessType)
		tags = append(tags, "name:"+strconv.Quote(name)+` optional:"true"`)
		wants = append(wants, i)
	}
	if len(wants) == 0 {
		b := &bound{declaration: d, witnesses: make([]*witness, len(d.wants))}
		return fx.Provide(fx.Annotated{Group: declaredGroup, Target: func() *bound { return b }})
	}
	collect := reflect.MakeFunc(reflect.FuncOf(types, []reflect.Type{boundType}, false), func(args []reflect.Value) []reflect.Value {
		b := &bound{declaration: d, witnesses: make([]*witness, len(d.wants))}
		for i, arg := range args {
			b.witnesses[wants[i]], _ = arg.Interface().(*witness)
		}
		return []reflect.Value{reflect.ValueOf(b)}
	})
	annotated := fx.Annotate(collect.Interface(), fx.ParamTags(tags...), fx.ResultTags("group:"+strconv.Quote(declaredGroup)))
	return fx.Provide(append(providers, fxloc.At(annotated, d.fn))...)
}

func (d *declaration) witnessOf(w *want, name string) any {
	testify := reflect.MakeFunc(reflect.FuncOf([]reflect.Type{w.t}, []reflect.Type{witnessType}, false), func(args []reflect.Value) []reflect.Value {
		return []reflect.Value{reflect.ValueOf(&witness{args[0]})}
	})
	annotations := []fx.Annotation{fx.ResultTags("name:" + strconv.Quote(name))}
	if tag := w.tag(); tag != "" {
		annotations = append(annotations, fx.ParamTags(tag))
	}
	return fxloc.At(fx.Annotate(testify.Interface(), annotations...), d.fn)
}

// witnessName reads well in Fx's events, and is this declaration's own: one constructor may be given several times, as
// instances of a generic one are.
func (d *declaration) witnessName(i int) string {
	name, _, _ := strings.Cut(d.where, " ")
	return fmt.Sprintf("%s wants %v (%d of %p)", name, &d.wants[i], i+1, d)
}
