package fxlifecycle

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"
)

const defaultServeTimeout = 10 * time.Second

// A Server is an HTTP server that starts and stops with the application.
type Server struct {
	entry *entry
	http  *http.Server

	mu     sync.Mutex
	addr   net.Addr
	served chan struct{} // closed when serving has ended with err; nil before start
	err    error
}

// Serve manages srv. Init listens on srv.Addr, where a taken port fails start, and serves: TLS if srv.TLSConfig is set, which then
// needs a certificate. PreDestroy is srv.Shutdown, so that requests in hand are finished while everything that they use is
// still there. They may take 10 s, unless WithStopTimeout says otherwise: a server is among the first to drain, when
// an equal share of the stop budget is smallest. Destroy is srv.Close, for connections that are left. Shutdown knows nothing of hijacked
// connections such as WebSockets: see http.Server.RegisterOnShutdown. All other fields of srv are left alone.
//
// Once started, a server that cannot accept connections any more is of no use, and nobody would notice: the error is logged, PreDestroy
// returns it, and under [Coordinate] the application is shut down with exit code 1.
func Serve(lc fx.Lifecycle, srv *http.Server, opts ...Option) (*Server, error) {
	s := &Server{http: srv}
	e := newEntry(s, callerPC())
	s.entry = e
	e.hooks = Hooks{Init: s.init, PreDestroy: s.shutdown, Destroy: s.close}
	var err error
	if srv == nil {
		e.hooks = Hooks{}
		err = errors.New("fxlifecycle: serve: the *http.Server is nil")
	} else {
		e.object = "http.Server " + listenAddr(srv)
		e.claim = defaultServeTimeout
		err = e.apply(s, opts)
	}
	if err := e.manage(lc, err, nil); err != nil {
		return nil, err
	}
	return s, nil
}

// Addr is the address that the server listens on, with the real port where srv.Addr has port 0. It is nil before start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

func listenAddr(srv *http.Server) string {
	switch {
	case srv.Addr != "":
		return srv.Addr
	case srv.TLSConfig != nil:
		return ":https"
	}
	return ":http"
}

func (s *Server) init(ctx context.Context) error {
	if cfg := s.http.TLSConfig; cfg != nil && !hasCertificate(cfg) {
		return errors.New("TLSConfig is set but has no certificate: set Certificates, GetCertificate or GetConfigForClient")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listenAddr(s.http))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = listener.Addr()
	s.served = make(chan struct{})
	go s.serve(listener, s.http.TLSConfig != nil)
	return nil
}

func hasCertificate(cfg *tls.Config) bool {
	return len(cfg.Certificates) > 0 || cfg.GetCertificate != nil || cfg.GetConfigForClient != nil
}

func (s *Server) serve(listener net.Listener, secure bool) {
	defer close(s.served)
	var err error
	if secure {
		err = s.http.ServeTLS(listener, "", "")
	} else {
		err = s.http.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return
	}
	err = fmt.Errorf("serving on %s ended: %w", listener.Addr(), err)
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.entry.log().Error("fxlifecycle: an HTTP server accepts no more connections",
		zap.String("object", s.entry.object), zap.String("caller", s.entry.caller()), zap.Error(err))
	s.entry.c.shutdownApplication()
}

// shutdown is PreDestroy.
func (s *Server) shutdown(ctx context.Context) error {
	return errors.Join(s.http.Shutdown(ctx), s.ended(ctx))
}

// close is Destroy: after a start that failed as well, and when Init did not run.
func (s *Server) close(ctx context.Context) error {
	return errors.Join(s.http.Close(), s.wait(ctx))
}

// ended waits until nothing is accepted any more and returns why, where it was not because of shutdown.
func (s *Server) ended(ctx context.Context) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *Server) wait(ctx context.Context) error {
	s.mu.Lock()
	served := s.served
	s.mu.Unlock()
	if served == nil {
		return nil
	}
	select {
	case <-served:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
