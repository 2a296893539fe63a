package fxetcd_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
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

// E3: a socket has no host for the certificate to be of. As in etcd's client it is the file's name, unless another is configured.
func TestE3_a_certificate_on_a_socket_needs_a_name_to_expect(t *testing.T) {
	t.Parallel()
	ca := etcdtest.NewCA(t)
	cert, key := ca.Issue(t)
	dir, err := os.MkdirTemp("", "") // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: t.TempDir()}, embedded.WithLogger(zap.NewNop()), embedded.Configure(func(cfg *embed.Config) {
		cfg.ListenClientUrls = []url.URL{{Scheme: "unixs", Host: filepath.Join(dir, "etcd.sock")}}
		cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = cert, key
	}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	cfg := fxetcd.Config{Endpoints: []string{"unix://" + dir + "/etcd.sock"}, TLS: &fxetcd.TLS{CA: ca.File()}, DialTimeout: time.Second}
	_, err = fxetcd.NewClient(t.Context(), cfg, fxetcd.WithLogger(zap.NewNop()))
	require.ErrorContains(t, err, "name mismatch: its certificate is for another name; set tls.serverName")
	require.ErrorContains(t, err, "not etcd.sock")
	cfg.TLS.ServerName, cfg.DialTimeout = "localhost", plenty
	connect(t, cfg)
}

// E3
func TestE3_https_to_what_is_not_etcd(t *testing.T) {
	t.Parallel()
	ca := etcdtest.NewCA(t)
	certificate, key := ca.Issue(t)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	require.NoError(t, err)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	text := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(text.Close)
	other, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	require.NoError(t, err)
	for listener, handle := range map[net.Listener]func(net.Conn){
		plain: func(net.Conn) {},
		other: func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
	} {
		var serving sync.WaitGroup
		t.Cleanup(serving.Wait)
		t.Cleanup(func() { _ = listener.Close() })
		serving.Go(func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				handle(c)
				_ = c.Close()
			}
		})
	}
	for name, tt := range map[string]struct{ address, want string }{
		"a web server with TLS":               {web.Listener.Addr().String(), "it speaks TLS, but not etcd's protocol (ALPN h2) (remote error: tls: no application protocol)"},
		"a server with TLS and no ALPN":       {other.Addr().String(), "it speaks TLS, but not etcd's protocol (ALPN h2)"},
		"a web server without TLS":            {text.Listener.Addr().String(), "it does not speak TLS: remove tls, and https://, or give the server a certificate"},
		"a server that closes the connection": {plain.Addr().String(), "it closes the connection during the TLS handshake: most likely it does not speak TLS; then remove tls, and https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := fxetcd.NewClient(t.Context(), fxetcd.Config{
				Endpoints: []string{"https://" + tt.address}, TLS: &fxetcd.TLS{CA: ca.File()}, DialTimeout: 2 * time.Second,
			})
			require.ErrorContains(t, err, tt.want)
		})
	}
}
