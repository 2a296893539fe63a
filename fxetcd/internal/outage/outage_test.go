package outage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxetcd/internal/outage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// G3: what a context's end says of etcd is told from what an error says beyond that.
func TestReason(t *testing.T) {
	t.Parallel()
	noConnection := fmt.Errorf("grant: %w: no connection: connection refused", context.DeadlineExceeded)
	refused := errors.New("no space")
	for _, c := range []struct {
		name      string
		err, want error
	}{
		{"a request whose caller gave up", fmt.Errorf("grant: %w", context.Canceled), nil},
		{"one that was out of time", fmt.Errorf("grant: %w", context.DeadlineExceeded), outage.ErrSilent},
		{"one that was out of time, in grpc's words", status.Error(codes.DeadlineExceeded, "context deadline exceeded"), outage.ErrSilent},
		{"one that was out of time, and why", noConnection, noConnection},
		{"an answer", refused, refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, outage.Reason(c.err))
		})
	}
}

// G3: the end of a wait can be matched by the context's error, by its cause and by what etcd said last.
func TestEnded(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	caused, end := context.WithCancelCause(t.Context())
	end(io.ErrNoProgress)
	full := errors.New("no space")
	for _, c := range []struct {
		name string
		ctx  context.Context
		last error
		want string
		is   []error
	}{
		{"nothing known", ended, nil, "context canceled", []error{context.Canceled}},
		{"a cause", caused, nil, "context canceled: multiple Read calls return no data or error", []error{context.Canceled, io.ErrNoProgress}},
		{"silence", ended, outage.ErrSilent, "etcd does not answer: context canceled", []error{context.Canceled, outage.ErrSilent}},
		{"an answer", ended, full, "context canceled; last: no space", []error{context.Canceled, full}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := outage.Ended(c.ctx, c.last)
			assert.EqualError(t, err, c.want)
			for _, target := range c.is {
				assert.ErrorIs(t, err, target)
			}
		})
	}
}
