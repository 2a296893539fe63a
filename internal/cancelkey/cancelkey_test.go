package cancelkey_test

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/internal/cancelkey"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// joined has the values of one context and the cancellation of another.
type joined struct {
	context.Context
	values context.Context
	key    any
}

func (j joined) Value(key any) any {
	if key == j.key {
		return j.Context.Value(key)
	}
	return j.values.Value(key)
}

func TestLearn(t *testing.T) {
	t.Parallel()
	values, cancelValues := context.WithCancelCause(t.Context())
	cancelValues(io.ErrUnexpectedEOF)
	ctx, cancel := context.WithCancelCause(t.Context())
	j := joined{ctx, values, cancelkey.Learn()}
	assert.NoError(t, context.Cause(j), "the other context's end is not this one's")
	cancel(io.EOF)
	assert.ErrorIs(t, context.Cause(j), io.EOF)
}

// Not parallel: it counts goroutines.
func TestLearn_spares_derived_contexts_a_goroutine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j := joined{ctx, t.Context(), cancelkey.Learn()}
	before := runtime.NumGoroutine()
	for range 100 {
		_, stop := context.WithCancel(j)
		defer stop()
	}
	assert.Less(t, runtime.NumGoroutine(), before+50)
}
