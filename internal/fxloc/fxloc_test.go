package fxloc_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
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
