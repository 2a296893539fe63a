package refusal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxetcd/internal/refusal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"no error", nil, nil},
		{"a refusal", rpctypes.ErrPermissionDenied, rpctypes.ErrPermissionDenied},
		{"a refusal in other errors", errors.Join(errors.New("x"), fmt.Errorf("y: %w", rpctypes.ErrUserEmpty)), rpctypes.ErrUserEmpty},
		{"a failed login", status.Error(codes.Unauthenticated, rpctypes.ErrAuthFailed.Error()), rpctypes.ErrAuthFailed},
		{"a user who was deleted", rpctypes.ErrUserNotFound, rpctypes.ErrUserNotFound},
		{"a leader that is being elected", rpctypes.ErrNoLeader, nil},
		{"a token that has expired, which the client renews", rpctypes.ErrInvalidAuthToken, nil},
		{"a deadline", context.DeadlineExceeded, nil},
		{"a server that is away", status.Error(codes.Unavailable, "connection refused"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, refusal.Of(c.err))
		})
	}
}
