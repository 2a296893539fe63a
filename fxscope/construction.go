package fxscope

import (
	"context"
	"fmt"
	"reflect"

	"github.com/fxkit/fxkit/internal/guard"
)

// A construction is one run of a constructor and of the hooks of what it made.
type construction struct {
	results []reflect.Value
	objects []*object // those results that have hooks
}

func (b *construction) run(ctx context.Context, sc *Scope, u *unit, me build) error {
	var room [4]reflect.Value // on the stack, as long as no function of this recursion is passed it
	args := append(room[:0], u.args...)
	for i := range u.varying {
		v := &u.varying[i]
		if v.fresh {
			filled := reflect.New(args[v.param].Type()).Elem()
			filled.Set(args[v.param])
			args[v.param] = filled
		}
		value, err := sc.argument(ctx, v, me)
		if err != nil {
			return err
		}
		switch {
		case !value.IsValid():
		case v.field == nil:
			args[v.param] = value
		default:
			args[v.param].FieldByIndex(v.field).Set(value)
		}
	}
	b.results = u.call.Call(args)
	if u.errAt >= 0 {
		if err, _ := b.results[u.errAt].Interface().(error); err != nil {
			return u.failed("", err)
		}
	}
	for i := range u.results {
		b.take(sc, u, i, args)
	}
	if b.objects == nil {
		return nil
	}
	return b.hooks(ctx, sc, u, me)
}

// take looks at result i: whether it has hooks, and whether it is one that is somebody else's to destroy.
func (b *construction) take(sc *Scope, u *unit, i int, args []reflect.Value) {
	v, hooks := b.results[i], u.hooks[i]
	if u.dynamic[i] && !v.IsNil() {
		hooks = sc.scopes.hooksOf(v.Elem().Type())
	}
	if u.results[i].convert {
		b.results[i] = v.Convert(u.results[i].t)
	}
	if hooks == 0 || isNil(v) || b.alias(sc, v, args) {
		return
	}
	b.objects = append(b.objects, &object{key: u.results[i].key, where: u.place(), value: v.Interface(), hooks: hooks})
}

// hooks runs the construction hooks, object by object.
func (b *construction) hooks(ctx context.Context, sc *Scope, u *unit, me build) error {
	for _, o := range b.objects {
		if o.hooks&constructionHooks != 0 {
			f := &frame{ctx, sc, me}
			for _, h := range o.first() {
				if sc.over.Load() {
					return ErrEnded
				}
				if err := guard.Call(func() error { return h.run(f) }); err != nil {
					return u.failed(h.name+" of "+o.key.String()+": ", err)
				}
			}
		}
		o.ready = true
	}
	return nil
}

// failed says which constructor, or which hook, failed. An error of a Get that the constructor made and returned as it is
// becomes part of the path.
func (u *unit) failed(hook string, err error) error {
	if _, ok := err.(*buildError); ok { //nolint:errorlint // a wrapped one keeps its text
		return err
	}
	return fmt.Errorf("%s: %s%w", u.place(), hook, err)
}

// alias tells whether v is not this constructor's own: it took it as an argument, or got it from the scope.
func (b *construction) alias(sc *Scope, v reflect.Value, args []reflect.Value) bool {
	if !v.Comparable() {
		return false
	}
	made := v.Interface()
	if unique(v) {
		for _, o := range b.objects {
			if o.value == made {
				return true
			}
		}
	}
	for _, arg := range args {
		if holds(arg, made) {
			return true
		}
	}
	return unique(v) && sc.has(made)
}

func (sc *Scope) has(made any) bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for i := range sc.slots {
		if s := &sc.slots[i]; s.ready() && same(s.value, made) {
			return true
		}
	}
	for _, v := range sc.extra {
		if same(v.value, made) {
			return true
		}
	}
	return false
}

// unique tells whether equal means the same object. Equal values need not be, nor pointers to something of no size.
func unique(v reflect.Value) bool {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	return v.Kind() == reflect.Pointer && v.Type().Elem().Size() > 0
}

// holds tells whether an argument is made, or an fx.In or a group with made in it.
func holds(arg reflect.Value, made any) bool {
	switch arg.Kind() {
	case reflect.Struct:
		for i := range arg.NumField() {
			if arg.Type().Field(i).IsExported() && holds(arg.Field(i), made) {
				return true
			}
		}
	case reflect.Slice:
		for i := range arg.Len() {
			if same(arg.Index(i), made) {
				return true
			}
		}
	}
	return same(arg, made)
}

func same(v reflect.Value, made any) bool {
	return v.IsValid() && v.CanInterface() && v.Comparable() && v.Interface() == made
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return v.IsNil()
	case reflect.Interface:
		return v.IsNil() || isNil(v.Elem())
	}
	return false
}
