package fxetcd_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E12: certificates that are expired, wrong, or of another authority turn up under a running application, and go away again. A connection
// that is open is not touched by them; each new one is, and neither side has to be restarted.
func TestE12_a_running_client_names_a_bad_certificate_and_takes_a_good_one(t *testing.T) {
	t.Parallel()
	ca, other := etcdtest.NewCA(t), etcdtest.NewCA(t)
	serverCert, serverKey := ca.Issue(t)
	clientCert, clientKey := ca.Issue(t, "client")
	server := etcdtest.StartProcess(t, etcdtest.WithTLS(serverCert, serverKey, ca.File()))
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	admin := connect(t, configOf(server, ca.File(), clientCert, clientKey))
	s := serve(t, admin, "endpoints: %q, requestTimeout: 300ms, tls: {ca: %q, cert: %q, key: %q}", proxy.Endpoint(), ca.File(), clientCert, clientKey)

	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name  string
		spoil func()
		words string // of a check
		cause string // of a call
	}{
		{
			"the server's has expired", func() { ca.Reissue(t, serverCert, serverKey, past) },
			"its certificate has expired, or is not valid yet", "certificate has expired",
		},
		{
			"the server's is signed by somebody else", func() { other.Reissue(t, serverCert, serverKey, soon) },
			"its certificate is not trusted: signed by none of the authorities in", "unknown authority",
		},
		{
			"the server's is for another name", func() { ca.Reissue(t, serverCert, serverKey, soon, "elsewhere.example") },
			"name mismatch: its certificate is for another name", "127.0.0.1",
		},
		{
			"the client's has expired", func() { ca.Reissue(t, clientCert, clientKey, past, "client") },
			"the server does not accept the client's certificate", "remote error: tls: ",
		},
		{
			"the client's is signed by somebody else", func() { other.Reissue(t, clientCert, clientKey, soon, "client") },
			"the server does not accept the client's certificate", "remote error: tls: ",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spoil()
			_, err := s.client.Get(within(t, plenty), "app/k")
			require.NoError(t, err, "the open connection lives on")

			proxy.Reset()
			require.Eventually(t, func() bool {
				_, err = s.client.Get(context.Background(), "app/k")
				return errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), tt.cause)
			}, plenty, time.Millisecond, "a call says so")
			assert.ErrorContains(t, err, "no answer within requestTimeout 300ms: context deadline exceeded: no connection: ")
			require.Eventually(t, func() bool {
				err = s.check(t, 500*time.Millisecond)
				return err != nil && strings.Contains(err.Error(), tt.words)
			}, plenty, time.Millisecond, "and so does a check")

			ca.Reissue(t, serverCert, serverKey, soon)
			ca.Reissue(t, clientCert, clientKey, soon, "client")
			s.recovers(t)
		})
	}
}

func configOf(server *etcdtest.Process, ca, cert, key string) fxetcd.Config {
	return fxetcd.Config{Endpoints: server.Endpoints(), DialTimeout: plenty, TLS: &fxetcd.TLS{CA: ca, Cert: cert, Key: key}}
}
