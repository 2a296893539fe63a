package fxscope

import (
	"fmt"
	"reflect"
)

// A key is what Fx tells values by: a type, and a name if there are several of it.
type key struct {
	t    reflect.Type
	name string
}

func (k key) String() string {
	if k.name == "" {
		return k.t.String()
	}
	return fmt.Sprintf("%v[name=%q]", k.t, k.name)
}
