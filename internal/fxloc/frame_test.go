package fxloc_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fxkit/fxkit/internal/fxloc"
)

func returnAddress() uintptr {
	var pc [1]uintptr
	runtime.Callers(2, pc[:])
	return pc[0]
}

func TestFrame(t *testing.T) {
	t.Parallel()
	assert.Regexp(t, `^github\.com/fxkit/fxkit/internal/fxloc_test\.TestFrame \(.*frame_test\.go:20\)$`, fxloc.Frame(returnAddress()))
	assert.Equal(t, "unknown place", fxloc.Frame(0))
}
