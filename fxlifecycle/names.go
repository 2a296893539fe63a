package fxlifecycle

import (
	"context"
	"reflect"
	"strings"

	"go.uber.org/fx"
)

// objectOf is the object's name, or for a foreign hook the name of its function.
func (e *entry) objectOf(hook string) string {
	switch {
	case e.object != "":
		return e.object
	case hook == onStop:
		return hookName(e.hook, stopNameField, e.hook.OnStop)
	}
	return hookName(e.hook, startNameField, e.hook.OnStart)
}

// Unexported fields of fx.Hook, where fx.StartHook and its like keep the name of the user's function: what they make of it has none.
const (
	startNameField = "onStartName"
	stopNameField  = "onStopName"
)

func hookName(h fx.Hook, field string, fn func(context.Context) error) string {
	if name, ok := nameInside(h, field); ok && name != "" {
		return strings.TrimSuffix(strings.TrimSuffix(name, "()"), "-fm")
	}
	return funcName(fn)
}

func nameInside(h fx.Hook, field string) (string, bool) {
	v := reflect.ValueOf(h).FieldByName(field)
	if v.Kind() != reflect.String {
		return "", false // another version of Fx
	}
	return v.String(), true
}

// withNames puts the names of a literal hook's functions inside: Fx would look for them where it finds ours.
func withNames(h fx.Hook) fx.Hook {
	start, ok := nameInside(h, startNameField)
	stop, _ := nameInside(h, stopNameField)
	if !ok || start != "" || stop != "" {
		return h
	}
	return fx.StartStopHook(h.OnStart, h.OnStop)
}

// managedObject is what Fx's events call all managed objects: names there belong to functions.
type managedObject struct{}

func (managedObject) Init()    {}
func (managedObject) Destroy() {}

func managedHook() fx.Hook { return fx.StartStopHook(managedObject{}.Init, managedObject{}.Destroy) }
