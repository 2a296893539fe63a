// Package refusal knows what etcd says to those who may not do what they ask for.
package refusal

import (
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Of returns which refusal an error is, and nil if it is none. To wait does not cure a refusal: somebody has to change a role, a user or a password.
//
// A watch has nothing but the words of the server, and what the client meets while it logs in is etcd's words in a gRPC status: so the words count too.
func Of(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{
		rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrAuthFailed, rpctypes.ErrUserNotFound, rpctypes.ErrInvalidAuthMgmt,
	} {
		if errors.Is(err, known) || strings.Contains(err.Error(), known.Error()) {
			return known
		}
	}
	return nil
}
