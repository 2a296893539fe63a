package fxetcd_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E1, E12: certificates are rotated on disk, under a client that goes on.
func TestE12_a_client_gets_over_a_new_certificate_a_new_authority_and_an_expired_one(t *testing.T) {
	t.Parallel()
	first, second := etcdtest.NewCA(t), etcdtest.NewCA(t)
	serverCert, serverKey := first.Issue(t)
	clientCert, clientKey := first.Issue(t, "client")
	trusted := t.TempDir() + "/ca.pem"
	trust := func(ca *etcdtest.CA) {
		text, err := os.ReadFile(ca.File())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(trusted+".new", text, 0o600))
		require.NoError(t, os.Rename(trusted+".new", trusted))
	}
	trust(first)
	s := etcdtest.Start(t, etcdtest.WithTLS(serverCert, serverKey, trusted))
	cfg := fxetcd.Config{
		Endpoints: s.Endpoints(), DialTimeout: plenty,
		TLS: &fxetcd.TLS{CA: trusted, Cert: clientCert, Key: clientKey},
	}
	c := connect(t, cfg)

	// The server's certificate has run out, and the client's: connections that are open live on, new ones fail.
	first.Reissue(t, serverCert, serverKey, time.Now().Add(-time.Hour))
	first.Reissue(t, clientCert, clientKey, time.Now().Add(-time.Hour), "client")
	_, err := c.Put(within(t, plenty), "k", "v")
	require.NoError(t, err)
	late := cfg
	late.DialTimeout = 1500 * time.Millisecond
	_, err = fxetcd.NewClient(t.Context(), late)
	require.ErrorContains(t, err, "its certificate has expired")

	// Everything is replaced, the authority too.
	trust(second)
	second.Reissue(t, serverCert, serverKey, time.Now().Add(time.Hour))
	second.Reissue(t, clientCert, clientKey, time.Now().Add(time.Hour), "client")
	s.Restart() // so that the old connection is gone, and the server knows the new authority
	got, err := c.Get(within(t, plenty), "k")
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1, "the old client connects anew with the new files")
	connect(t, cfg)
}
