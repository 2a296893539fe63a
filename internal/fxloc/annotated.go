package fxloc

import (
	"reflect"
	"runtime"
)

// At makes Fx name the function fn as the place of annotated, the result of fx.Annotate.
//
// An annotated constructor reaches Fx as a reflect.MakeFunc stub, and every error about it names the stub. Fx reads
// the place from a field of the annotated value, and never writes it. The value's type is not exported but that
// field is, so reflection may set it. Were it gone one day, only the place would be lost: the value is then returned
// as it came.
func At(annotated, fn any) any {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return annotated
	}
	return AtPC(annotated, v.Pointer())
}

// AtPC is At for a program counter.
func AtPC(annotated any, pc uintptr) any {
	v := reflect.ValueOf(annotated)
	if v.Kind() != reflect.Struct {
		return annotated
	}
	located := reflect.New(v.Type()).Elem()
	located.Set(v)
	field := located.FieldByName("FuncPtr")
	if !field.IsValid() || !field.CanSet() || field.Kind() != reflect.Uintptr {
		return annotated
	}
	field.SetUint(uint64(pc))
	return located.Interface()
}

// CallerPC is Caller as a program counter, for AtPC.
func CallerPC(skip int) uintptr {
	var pcs [1]uintptr
	if runtime.Callers(3+skip, pcs[:]) == 0 {
		return 0
	}
	return pcs[0] - 1 // Callers gives where the call returns to, which may be the next line
}
