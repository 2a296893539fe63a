package fxloc_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/internal/fxloc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type thing struct{}

func (thing) method() {}

func caller() string { return fxloc.Caller(0) }

func TestPlaces(t *testing.T) {
	t.Parallel()
	assert.Regexp(t, `fxloc_test\.go:2\d$`, caller())
	assert.Regexp(t, `^github\.com/fxkit/fxkit/internal/fxloc_test\.TestPlaces \(.*fxloc_test\.go:\d+\)$`, fxloc.Func(TestPlaces))
	assert.NotContains(t, fxloc.Func(thing{}.method), "-fm")
	assert.Equal(t, "int (not a function)", fxloc.Func(3))
	assert.Equal(t, "func() (not a function)", fxloc.Func((func())(nil)))
}

func construct() *thing { return nil }

// place is what Fx names as the place of annotated.
func place(annotated any) string {
	err := fx.New(fx.NopLogger, fx.Provide(annotated, fx.Annotate(construct, fx.ResultTags(`name:"x"`)))).Err()
	_, after, _ := strings.Cut(err.Error(), "already provided by ")
	return after
}

// The field that At sets is Fx's, and nothing in Fx promises it: this test fails with the Fx that drops it.
func TestAt_makes_Fx_name_the_function_and_not_a_stub(t *testing.T) {
	t.Parallel()
	annotated := fx.Annotate(construct, fx.ResultTags(`name:"x"`))
	const stub = `"reflect".makeFuncStub`
	assert.Contains(t, place(annotated), stub, "if Fx names the function itself, At is not needed any more")
	assert.Regexp(t, `^"github\.com/fxkit/fxkit/internal/fxloc_test"\.construct \(.*fxloc_test\.go:\d+\)$`, place(fxloc.At(annotated, construct)))
	assert.Contains(t, place(annotated), stub, "At leaves the value that it was given alone")
}

func TestAtPC_makes_Fx_name_the_line_of_a_call(t *testing.T) {
	t.Parallel()
	annotated := func() any { return fxloc.AtPC(fx.Annotate(construct, fx.ResultTags(`name:"x"`)), fxloc.CallerPC(0)) }
	call, line := annotated(), caller()
	assert.Contains(t, place(call), "TestAtPC_makes_Fx_name_the_line_of_a_call ("+line+")")
}

func TestAt_leaves_alone_what_it_does_not_know(t *testing.T) {
	t.Parallel()
	type unexported struct{ FuncPtr string }
	for _, v := range []any{nil, 3, thing{}, unexported{"x"}} {
		assert.Equal(t, v, fxloc.At(v, construct))
	}
	annotated := fx.Annotate(construct, fx.ResultTags(`name:"x"`))
	assert.Equal(t, place(annotated), place(fxloc.At(annotated, "no function")))
}
