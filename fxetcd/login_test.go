package fxetcd_test

import (
	"testing"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E1: the first call of a client with a username is refused, and made again with a token.
func TestE1_one_repetition_is_enough_for_a_client_with_a_username(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	enableAuth(t, s.Client(t))
	connect(t, fxetcd.Config{Endpoints: s.Endpoints(), Username: "app", Password: password, MaxUnaryRetries: 1})
}
