package etcdtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority for one test: see WithTLS.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

// NewCA makes an authority that nobody trusts who was not given its File.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	template := certificate(tb, time.Now().Add(time.Hour))
	template.Subject = pkix.Name{CommonName: "etcdtest authority"}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	ca := &CA{cert: cert, key: key, file: filepath.Join(tb.TempDir(), "ca.pem")}
	replaceFile(tb, ca.file, "CERTIFICATE", der)
	return ca
}

// File is the authority's certificate, for those who are to trust it.
func (ca *CA) File() string { return ca.file }

// Issue writes a certificate and its key, valid for an hour, for servers and clients. Names are host names and IP addresses;
// none means localhost, 127.0.0.1 and ::1.
func (ca *CA) Issue(tb testing.TB, names ...string) (cert, key string) {
	tb.Helper()
	dir := tb.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	ca.Reissue(tb, cert, key, time.Now().Add(time.Hour), names...)
	return cert, key
}

// Reissue puts a new certificate and key into files that may be in use. One whose notAfter is past has expired.
func (ca *CA) Reissue(tb testing.TB, cert, key string, notAfter time.Time, names ...string) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	template := certificate(tb, notAfter)
	template.Subject = pkix.Name{CommonName: names[0]}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &private.PublicKey, ca.key)
	if err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	replaceFile(tb, cert, "CERTIFICATE", der)
	replaceFile(tb, key, "PRIVATE KEY", encoded)
}

func certificate(tb testing.TB, notAfter time.Time) *x509.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	return &x509.Certificate{SerialNumber: serial, NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter}
}

// replaceFile replaces a file in one step: a server or client may read it at any time.
func replaceFile(tb testing.TB, path, kind string, der []byte) {
	tb.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
}
