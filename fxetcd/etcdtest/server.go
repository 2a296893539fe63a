package etcdtest

import (
	"context"
	"crypto/tls"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/embedded"
)

// startTimeout and stopTimeout bound what takes milliseconds, on a machine that is busy with other tests.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// Server is an etcd server in this process. Its methods may be called from any goroutine, but those that change the server one after the other.
type Server struct {
	tb       testing.TB
	settings settings

	mu      sync.Mutex
	running *embedded.Server
}

// Start runs a server in this process, on a temporary folder and a free port. It is ready when Start returns, and gone when the test ends.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	s := &Server{tb: tb, settings: newSettings(tb, opts)}
	if err := s.start(); err != nil {
		tb.Fatalf("etcdtest: start: %v", err)
	}
	tb.Cleanup(s.Stop)
	return s
}

func (s *Server) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	running, err := s.settings.start(ctx)
	if err != nil {
		return err
	}
	s.running = running
	return nil
}

func (s settings) start(ctx context.Context) (*embedded.Server, error) {
	return embedded.Start(ctx, embedded.Config{Dir: s.Dir, Listen: s.Address},
		embedded.WithLogger(zap.NewNop()), embedded.Configure(s.configure))
}

// Endpoints is where clients reach the server. It stays the same for the life of the Server.
func (s *Server) Endpoints() []string { return []string{s.settings.endpoint()} }

func (s settings) endpoint() string {
	if s.TLS != nil {
		return "https://" + s.Address
	}
	return s.Address
}

// Dir is the folder of its data.
func (s *Server) Dir() string { return s.settings.Dir }

// Stop stops the server at once, connected clients or not. A stopped server's Stop does nothing.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.running.Stop(ctx); err != nil {
		s.tb.Errorf("etcdtest: %v", err)
	}
	s.running = nil
}

// Restart stops the server, if it runs, and starts it with the same data at the same address.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.start(); err != nil {
		s.tb.Errorf("etcdtest: restart: %v", err)
	}
}

// Client is a plain client of the server that is closed when the test ends. It has no credentials, and trusts any certificate.
func (s *Server) Client(tb testing.TB) *clientv3.Client {
	tb.Helper()
	return Client(tb, s.Endpoints()...)
}

// Client is a plain client of servers at these endpoints, such as a Proxy's, that is closed when the test ends. It has no
// credentials, and trusts any certificate.
func Client(tb testing.TB, endpoints ...string) *clientv3.Client {
	tb.Helper()
	cfg := clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()}
	if strings.HasPrefix(endpoints[0], "https://") {
		cfg.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		tb.Fatalf("etcdtest: client: %v", err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}
