package embedded

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/fxkit/fxkit/fxetcd/internal/freeport"
	"github.com/fxkit/fxkit/internal/stderrlog"
)

// etcd allocates two segments of its write-ahead log in advance, 64 MB each: a good size for a machine of its own, and 128 MB
// of nothing in every checkout and every test. The size is etcd's variable of the whole process, hence set before anything runs.
func init() { wal.SegmentSizeBytes = 2 << 20 }

// Option changes how a server is made.
type Option interface{ apply(*options) }

type options struct {
	log       *zap.Logger
	configure []func(*embed.Config)
}

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithLogger gives the logger to which the server's own lines go, under the name "etcd". Default: warnings and errors to standard error.
func WithLogger(log *zap.Logger) Option {
	return optionFunc(func(o *options) { o.log = log })
}

// Configure changes etcd's own configuration, after all that this package sets: TLS, authentication tokens, quota, and whatever
// else Config has no key for. With a ClientTLSInfo the client URLs become https.
func Configure(fn func(*embed.Config)) Option {
	return optionFunc(func(o *options) { o.configure = append(o.configure, fn) })
}

// Server is a running etcd server. Its methods may be called from many goroutines.
type Server struct {
	cfg     Config
	options options
	fatal   chan struct{}           // closed at the first fatal error
	origin  func(key string) string // where a key of the section is set; nil without one

	mu       sync.Mutex
	fatalErr error
	url      *url.URL // what clients connect to; nil while it is unknown
	etcd     *embed.Etcd
	grpc     []*grpc.Server
	folder   claim
	stopping chan struct{} // closed when Stop begins
	stopped  chan struct{} // closed when it has ended
	stopErr  error         // how, once stopped is closed
}

// Start runs a server and returns when it serves. ctx bounds the start alone; the server runs until Stop.
func Start(ctx context.Context, cfg Config, opts ...Option) (*Server, error) {
	s, err := newServer(cfg, opts...)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func newServer(cfg Config, opts ...Option) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("embedded: configuration: %w", err)
	}
	s := &Server{
		cfg:      cfg.withDefaults(),
		fatal:    make(chan struct{}),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	for _, o := range opts {
		if o != nil {
			o.apply(&s.options)
		}
	}
	if host, port, _ := splitListen(s.cfg.Listen); port != 0 {
		s.url = &url.URL{Scheme: "http", Host: net.JoinHostPort(reachable(host), strconv.Itoa(port))}
	}
	return s, nil
}

// Endpoints is where clients reach the server: host:port, or https://host:port with TLS. It is empty while the port is not known,
// that is before the start of a server that takes a free one.
func (s *Server) Endpoints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.url == nil {
		return nil
	}
	if s.url.Scheme == "http" {
		return []string{s.url.Host}
	}
	return []string{s.url.String()}
}

// Dir is the folder of the data.
func (s *Server) Dir() string { return s.cfg.Dir }

// Etcd is etcd's own handle of the server, for what Server has no method for. It is nil before the start has succeeded.
// Leave its Close to Stop.
func (s *Server) Etcd() *embed.Etcd {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.etcd
}

// Failed is closed when the server has met an error that it cannot go on with, such as a full or broken disk. Err tells which.
// What it acknowledged before is safe; it answers nothing more, and should be stopped. What Stop cannot end of it then lasts as long as the
// process, and keeps the folder for as long: start the next one in a new process.
func (s *Server) Failed() <-chan struct{} { return s.fatal }

// Err is the error that closed Failed, or nil.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fatalErr
}

func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatalErr == nil {
		s.fatalErr = err
		close(s.fatal)
	}
}

// etcdConfig is etcd's configuration of this server. hold keeps the port that was chosen until etcd listens on it.
func (s *Server) etcdConfig() (cfg *embed.Config, hold func(), err error) {
	host, port, err := splitListen(s.cfg.Listen)
	if err != nil {
		return nil, nil, err
	}
	hold = func() {}
	if port == 0 {
		// etcd can take a free port by itself, but then tells every client that asks for the member list to connect to port 0.
		reserved, err := freeport.Reserve(host)
		if err != nil {
			return nil, nil, err
		}
		hold = reserved.Release
		_, service, _ := net.SplitHostPort(reserved.Address())
		port, _ = strconv.Atoi(service)
	}
	cfg = embed.NewConfig()
	cfg.Name = "embedded"
	cfg.Dir = s.cfg.Dir
	cfg.ListenClientUrls = []url.URL{{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(port))}}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: net.JoinHostPort(reachable(host), strconv.Itoa(port))}}
	// There are no peers. Ticks only decide how soon the one member elects itself and how short a lease can be.
	cfg.TickMs, cfg.ElectionMs = 20, 100
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	if s.cfg.History > 0 {
		cfg.AutoCompactionMode = embed.CompactorModePeriodic
		cfg.AutoCompactionRetention = s.cfg.History.String()
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger(stderrlog.Or(s.options.log), s.cfg.LogLevel, s.fail, s.stopping))
	for _, fn := range s.options.configure {
		fn(cfg)
	}
	if !cfg.ClientTLSInfo.Empty() || cfg.ClientAutoTLS {
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = secure(cfg.ListenClientUrls), secure(cfg.AdvertiseClientUrls)
	}
	cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions, grpc.ChainStreamInterceptor(s.refuseLateStreams))
	register := cfg.ServiceRegister
	cfg.ServiceRegister = func(g *grpc.Server) {
		s.mu.Lock()
		s.grpc = append(s.grpc, g)
		s.mu.Unlock()
		if register != nil {
			register(g)
		}
	}
	return cfg, hold, nil
}

func secure(urls []url.URL) []url.URL {
	out := make([]url.URL, len(urls))
	for i, u := range urls {
		if u.Scheme == "http" {
			u.Scheme = "https"
		}
		out[i] = u
	}
	return out
}
