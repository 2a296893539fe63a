package fxetcd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A cause says in plain words what stands in the way, and unwraps to the error that showed it.
type cause struct {
	words string
	err   error
}

func (c *cause) Error() string {
	if c.err == nil {
		return c.words
	}
	return c.words + " (" + c.err.Error() + ")"
}

func (c *cause) Unwrap() error { return c.err }

// causes are those of several endpoints, in one line.
type causes []error

func (c causes) Error() string {
	words := make([]string, len(c))
	for n, err := range c {
		words[n] = err.Error()
	}
	return strings.Join(words, "; ")
}

func (c causes) Unwrap() []error { return c }

// noAnswer is a call that no server answered, with the reason of each endpoint.
type noAnswer struct {
	within  time.Duration
	reasons causes
	failed  error // what the call itself said
}

func (n *noAnswer) Error() string {
	return fmt.Sprintf("no etcd server answered within %v: %v", n.within.Round(time.Millisecond), n.reasons)
}

func (n *noAnswer) Unwrap() []error {
	return append(n.reasons[:len(n.reasons):len(n.reasons)], n.failed)
}

// explain says why a call failed. What a server said is told as it is, with the endpoints, of which etcd's client does not tell which one
// it was. Where no server said anything, the client has only "context deadline exceeded" to tell, so the reasons come from elsewhere.
func (i *instance) explain(failed error, began time.Time, why func() causes) error {
	for _, known := range []struct {
		err   error
		words string
	}{
		{rpctypes.ErrAuthFailed, fmt.Sprintf("wrong user or password for user %q", i.cfg.Username)},
		{rpctypes.ErrUserEmpty, "the server demands a user: set username and password"},
		{rpctypes.ErrInvalidAuthToken, "the server does not accept the token"},
		{rpctypes.ErrNoLeader, "the server has lost its cluster's leader"},
	} {
		if errors.Is(failed, known.err) {
			return i.said(&cause{known.words, failed})
		}
	}
	if !errors.Is(failed, context.DeadlineExceeded) && status.Code(failed) != codes.Unavailable {
		return i.said(failed)
	}
	reasons := why()
	return &noAnswer{time.Since(began), reasons, failed}
}

func (i *instance) said(err error) error {
	return fmt.Errorf("%s: %w", strings.Join(i.client.Endpoints(), ", "), err)
}

// tryAllByHand finds out about each endpoint what stands in the way.
func (i *instance) tryAllByHand(ctx context.Context) causes {
	endpoints, err := parseEndpoints(i.client.Endpoints())
	if err != nil {
		return causes{err}
	}
	all, one := make(causes, len(endpoints)), sync.WaitGroup{}
	for n, e := range endpoints {
		one.Go(func() {
			why := i.tryByHand(ctx, e)
			if why == nil {
				why = &cause{"reached, but it did not answer: it is overloaded, or its cluster has no leader", nil}
			}
			all[n] = fmt.Errorf("%s: %w", e.text, why)
		})
	}
	one.Wait()
	return all
}

// tryByHand connects as the client does, up to the first thing that an HTTP/2 server says. Nil: a server is there.
func (i *instance) tryByHand(ctx context.Context, e endpoint) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, e.network, e.address)
	if err != nil {
		return explainDial(ctx, err)
	}
	defer func() { _ = conn.Close() }()
	raw := conn
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if i.tls != nil {
		secure := tls.Client(conn, i.alpn(e.host))
		if err := secure.HandshakeContext(ctx); err != nil {
			return explainTLS(ctx, err, i.tls)
		}
		if secure.ConnectionState().NegotiatedProtocol != "h2" { // grpc insists on it
			return &cause{notOverTLS, nil}
		}
		conn = secure
	}
	// A certificate that the server misses, or dislikes, shows only now.
	if _, err := conn.Write([]byte(http2Preface)); err != nil {
		return explainSilence(ctx, err, i.tls)
	}
	header := make([]byte, 9)
	if _, err := io.ReadFull(conn, header); err != nil {
		return explainSilence(ctx, err, i.tls)
	}
	const settings = 4 // the type of the frame that an HTTP/2 server begins with
	if header[3] != settings || bytes.HasPrefix(header, []byte("HTTP/")) {
		if i.tls == nil {
			return &cause{"something listens there that does not understand etcd's protocol; if it expects TLS, write https://", nil}
		}
		return &cause{"something listens there that does not understand etcd's protocol", nil}
	}
	return nil
}

// http2Preface begins a connection: the magic words, and an empty frame of settings.
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

const notOverTLS = "it speaks TLS, but not etcd's protocol (ALPN h2)"

func (i *instance) alpn(host string) *tls.Config {
	cfg := i.tls.config(host)
	cfg.NextProtos = []string{"h2"}
	return cfg
}

func explainDial(ctx context.Context, err error) error {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return &cause{"unknown host", err}
	case errors.As(err, &dns):
		return &cause{"the host's address cannot be found out", err}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return &cause{"nothing listens there", err}
	case gaveUp(ctx, err):
		return &cause{"no answer to the attempt to connect: the address is wrong, or something on the way drops packets", err}
	}
	return &cause{"cannot connect", err}
}

// gaveUp tells whether it was we who ended the attempt. The network's deadline may come a moment before the context's end.
func gaveUp(ctx context.Context, err error) bool {
	var network net.Error
	return ctx.Err() != nil || errors.As(err, &network) && network.Timeout()
}

func explainTLS(ctx context.Context, err error, t *TLS) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		if t.CA == "" {
			return &cause{"its certificate is not trusted: signed by none of the system's authorities; set tls.ca", err}
		}
		return &cause{fmt.Sprintf("its certificate is not trusted: signed by none of the authorities in %q", t.CA), err}
	case errors.As(err, &name):
		return &cause{"name mismatch: its certificate is for another name; set tls.serverName if that is the right server", err}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &cause{"its certificate has expired, or is not valid yet", err}
	case strings.Contains(err.Error(), "no application protocol"): // crypto/tls exports no value for the server's alert
		return &cause{notOverTLS, err}
	case errors.As(err, &record):
		return &cause{"it does not speak TLS: remove tls, and https://, or give the server a certificate", err}
	case !gaveUp(ctx, err) && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return &cause{"it closes the connection during the TLS handshake: most likely it does not speak TLS; then remove tls, and https://, or give the server a certificate", err}
	}
	return explainSilence(ctx, err, t)
}

// explainSilence is about a server that closed the connection, or said nothing.
func explainSilence(ctx context.Context, err error, t *TLS) error {
	switch text := err.Error(); {
	case gaveUp(ctx, err):
		// That the connection is closed is our own doing by then.
		return &cause{"it accepts connections, but says nothing: the server hangs, or something else listens there", context.Cause(ctx)}
	case strings.Contains(text, "certificate required"), t != nil && t.Cert == "" && strings.Contains(text, "bad certificate"):
		return &cause{"client certificate required: set tls.cert and tls.key", err}
	case strings.Contains(text, "remote error: tls") && t != nil && t.Cert != "":
		return &cause{"the server does not accept the client's certificate", err}
	case t == nil:
		return &cause{"it closes the connection; if it expects TLS, write https://", err}
	}
	return &cause{"it closes the connection", err}
}
