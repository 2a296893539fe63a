package fxetcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc/credentials"
)

var tlsVersions = map[string]uint16{"": tls.VersionTLS12, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// check reads the files, to tell at once what is wrong with them.
func (t *TLS) check() error {
	var problems []error
	if t.Cert != "" {
		if _, err := t.certificate(); err != nil {
			problems = append(problems, err)
		}
	}
	if t.CA != "" {
		if _, err := t.roots(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (t *TLS) certificate() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert %q and tls.key %q: %w", t.Cert, t.Key, err)
	}
	return &pair, nil
}

func (t *TLS) roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("tls.ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.ca: %q holds no PEM certificate", t.CA)
	}
	return pool, nil
}

// config is for one connection to a host.
func (t *TLS) config(host string) *tls.Config {
	if t.ServerName != "" {
		host = t.ServerName
	}
	cfg := &tls.Config{MinVersion: tlsVersions[t.MinVersion], ServerName: host, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.Cert != "" {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.certificate() }
	}
	if t.CA != "" {
		// Verification as Go does it, but against the authorities of now: they can be replaced under a running client. The name
		// is the one we expect; the connection's state has none where that is an IP address.
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(state tls.ConnectionState) error { return t.verify(state, host) }
	}
	return cfg
}

func (t *TLS) verify(state tls.ConnectionState, name string) error {
	roots, err := t.roots()
	if err != nil {
		return err
	}
	chain := state.PeerCertificates
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, DNSName: name}); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// transport is TLS for etcd's client. Left to make its own, that would expect each endpoint's host in the certificate,
// whatever name it was told, and for an http:// endpoint leave encryption out.
type transport struct{ tls *TLS }

var _ credentials.TransportCredentials = transport{}

func (t transport) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	cfg := t.tls.config(hostOf(authority))
	return credentials.NewTLS(cfg).ClientHandshake(ctx, cfg.ServerName, conn)
}

// hostOf is an authority without a port.
func hostOf(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return authority
}

func (transport) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("fxetcd: these are a client's credentials")
}

func (transport) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (t transport) Clone() credentials.TransportCredentials { return t }

// OverrideServerName is part of the interface, and superseded in grpc itself.
func (transport) OverrideServerName(string) error { return nil }
