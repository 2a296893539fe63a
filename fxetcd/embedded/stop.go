package embedded

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// stopTimeout bounds a Stop whose context has no deadline.
const stopTimeout = 10 * time.Second

// closeGrace is what etcd is given to close itself. It takes milliseconds, or with peers' connections up to a second.
const closeGrace = 1500 * time.Millisecond

// Stop ends the server at once: clients that are still connected lose their connections and their streams, and nothing that was
// acknowledged is lost. It returns when the folder and the port are free again, or when ctx ends (without a deadline: after 10 s).
// A second Stop waits for the first and returns the same.
//
// A server that has failed may not be able to end, its goroutines waiting for the one that met the error. Stop then gives up after 3 s with an
// error that says so.
func (s *Server) Stop(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, stopTimeout)
		defer cancel()
	}
	s.mu.Lock()
	select {
	case <-s.stopping:
	default:
		close(s.stopping)
		go s.end(s.etcd, s.grpc, s.folder.release)
	}
	s.mu.Unlock()
	select {
	case <-s.stopped:
	case <-ctx.Done():
		return fmt.Errorf("embedded: stop etcd: still stopping: %w", context.Cause(ctx))
	}
	if s.stopErr != nil {
		return fmt.Errorf("embedded: stop etcd: %w", s.stopErr)
	}
	return nil
}

// end takes down what has started.
func (s *Server) end(e *embed.Etcd, servers []*grpc.Server, release func()) {
	defer close(s.stopped)
	if e == nil {
		return
	}
	// etcd waits for open streams, seven seconds for a watch that a client forgot to end. Its gRPC servers, stopped
	// beforehand, have none.
	closed := background(func() {
		for _, g := range servers {
			g.Stop()
		}
		e.Close()
	})
	select {
	case <-closed:
		release()
		return
	case <-time.After(closeGrace):
	}
	// A connection that never sent a byte (a port scanner's) is one that etcd waits for, before it stops anything, and that
	// nobody else can close. Leave the connection; stop what has the data.
	halted := background(func() {
		e.Server.HardStop()
		release()
	})
	select {
	case <-halted:
		return
	case <-s.fatal:
	}
	select {
	case <-halted:
	case <-time.After(closeGrace):
		s.stopErr = fmt.Errorf("it failed before, and what is left of it keeps folder %q until the process ends: %w", s.cfg.Dir, s.Err())
	}
}

// refuseLateStreams refuses streams that are opened while the server stops, as clients do that have just lost theirs. With TLS they come over
// the same connection, and a gRPC server that is being stopped there would wait for them.
func (s *Server) refuseLateStreams(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	select {
	case <-s.stopping:
		return status.Error(codes.Unavailable, "the server is stopping")
	default:
		return handle(service, stream)
	}
}

// background runs fn, and closes the channel when it has returned.
func background(fn func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	return done
}
