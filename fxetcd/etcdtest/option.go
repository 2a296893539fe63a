package etcdtest

import (
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/fxkit/fxkit/fxetcd/internal/freeport"
)

// Option changes a server. Options are data, since a server may run in another process.
type Option interface{ apply(*settings) }

// settings is what a server is started with; StartProcess hands it to the child as JSON.
type settings struct {
	Dir      string        `json:"dir"`
	Address  string        `json:"address"`
	Quota    int64         `json:"quota"`
	TokenTTL time.Duration `json:"tokenTTL"`
	Fsync    bool          `json:"fsync"`
	TLS      *serverTLS    `json:"tls"`
}

type serverTLS struct{ Cert, Key, ClientCA string }

type optionFunc func(*settings)

func (f optionFunc) apply(s *settings) { f(s) }

// WithAddress is the host:port to listen on, instead of a free port of 127.0.0.1.
func WithAddress(address string) Option { return optionFunc(func(s *settings) { s.Address = address }) }

// WithQuota limits the database to so many bytes, after which the server refuses to write (ErrNoSpace). Two megabytes fill quickly.
func WithQuota(bytes int64) Option { return optionFunc(func(s *settings) { s.Quota = bytes }) }

// WithTokenTTL is how long an authentication token lasts, in whole seconds. Default: etcd's five minutes.
func WithTokenTTL(d time.Duration) Option { return optionFunc(func(s *settings) { s.TokenTTL = d }) }

// WithFsync makes the server write through to the disk, as in production. Without it a test is faster, and still loses nothing
// when the server alone is killed: only a crash of the whole machine would.
func WithFsync() Option { return optionFunc(func(s *settings) { s.Fsync = true }) }

// WithTLS serves https with a certificate and key from files, which the server reads again for each connection. With a clientCA
// (not "") clients must show a certificate that it signed. See NewCA.
func WithTLS(cert, key, clientCA string) Option {
	return optionFunc(func(s *settings) { s.TLS = &serverTLS{Cert: cert, Key: key, ClientCA: clientCA} })
}

// newSettings is the options with a folder, and with an address that stays the server's while it is stopped.
func newSettings(tb testing.TB, opts []Option) settings {
	tb.Helper()
	s := settings{Dir: tb.TempDir()}
	for _, o := range opts {
		if o != nil {
			o.apply(&s)
		}
	}
	if s.Address == "" {
		s.Address = reserve(tb).Address()
	}
	return s
}

// reserve holds a port of 127.0.0.1 until the test has ended.
func reserve(tb testing.TB) *freeport.Reservation {
	tb.Helper()
	port, err := freeport.Reserve("127.0.0.1")
	if err != nil {
		tb.Fatalf("etcdtest: %v", err)
	}
	tb.Cleanup(port.Release)
	return port
}

// configure sets what production would not: tests wait for nothing, and lose nothing that matters in a test.
func (s settings) configure(cfg *embed.Config) {
	cfg.Name = "etcdtest"
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.TickMs, cfg.ElectionMs = 10, 50
	cfg.UnsafeNoFsync = !s.Fsync
	cfg.BcryptCost = 4
	cfg.AutoCompactionRetention = "0"
	cfg.QuotaBackendBytes = s.Quota
	if s.TokenTTL > 0 {
		cfg.AuthTokenTTL = uint(max(1, s.TokenTTL/time.Second))
	}
	if s.TLS != nil {
		cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = s.TLS.Cert, s.TLS.Key
		cfg.ClientTLSInfo.TrustedCAFile = s.TLS.ClientCA
		cfg.ClientTLSInfo.ClientCertAuth = s.TLS.ClientCA != ""
	}
}
