package guard_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/internal/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCall(t *testing.T) {
	t.Parallel()
	assert.NoError(t, guard.Call(func() error { return nil }))
	assert.ErrorIs(t, guard.Call(func() error { return io.EOF }), io.EOF)

	err := guard.Call(func() error { panic("boom") })
	var p *guard.PanicError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "boom", p.Value)
	assert.Contains(t, string(p.Stack), "TestCall", "the stack is that of the panic")

	assert.ErrorIs(t, guard.Call(func() error { panic(io.EOF) }), io.EOF, "a panic with an error unwraps to it")
}

func TestWithin(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	assert.NoError(t, guard.Within(ctx, func() error { return nil }, nil))
	assert.ErrorIs(t, guard.Within(ctx, func() error { return io.EOF }, nil), io.EOF)
	assert.ErrorIs(t, guard.Within(ctx, func() error { runtime.Goexit(); return nil }, nil), guard.ErrGoexit)
	var p *guard.PanicError
	assert.ErrorAs(t, guard.Within(ctx, func() error { panic("boom") }, nil), &p)
}

func TestWithin_leaves_behind_what_ignores_its_context(t *testing.T) {
	t.Parallel()
	cause := errors.New("no time left")
	ctx, cancel := context.WithCancelCause(t.Context())
	release, late := make(chan struct{}), make(chan error)
	go cancel(cause)
	err := guard.Within(ctx, func() error { <-release; return io.EOF }, func(err error) { late <- err })
	require.ErrorIs(t, err, cause)
	close(release)
	assert.ErrorIs(t, <-late, io.EOF, "its own error is not lost")
}
