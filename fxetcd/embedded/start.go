package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/fxkit/fxkit/internal/guard"
)

// errStopped is the error of a start that comes after, or during, a Stop.
var errStopped = errors.New("the server was stopped; a server starts once, make another")

// failGrace is what etcd's start is given to return when one of its goroutines has met an error that it cannot go on with.
const failGrace = 500 * time.Millisecond

func (s *Server) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("embedded: start etcd at %s: %w", s.cfg.Listen, err)
		}
	}()
	select {
	case <-s.stopping:
		return errStopped
	default:
	}
	if ctx.Err() != nil {
		return fmt.Errorf("not begun: %w", context.Cause(ctx))
	}
	folder, err := claimFolder(ctx, s.cfg.Dir)
	if err != nil {
		return s.blame("dir", err)
	}
	cfg, hold, err := s.etcdConfig()
	if err != nil {
		folder.release()
		return s.blame("listen", err)
	}
	// etcd starts within its own time, whatever ctx says: what comes up after we left must be taken down again.
	var e *embed.Etcd
	err = guard.Within(ctx, func() (err error) {
		defer hold()
		if err := checkData(cfg); err != nil {
			return s.blame("dir", err)
		}
		e, err = s.startEtcd(cfg)
		return err
	}, func(error) {
		if e != nil {
			e.Close()
		}
		folder.release()
	})
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		folder.leave()
		return fmt.Errorf("not started in time: %w", err)
	default:
		folder.release()
		return s.plain(err)
	}
	s.mu.Lock()
	select {
	case <-s.stopping:
		s.mu.Unlock()
		e.Close()
		folder.release()
		return errStopped
	default:
	}
	s.etcd, s.folder = e, folder
	u := cfg.AdvertiseClientUrls[0]
	if port := listenPort(e); port != 0 {
		u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(port))
	}
	s.url = &u
	s.mu.Unlock()
	if err := s.waitReady(ctx, e); err != nil {
		folder.leave()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return errors.Join(err, s.Stop(bounded))
	}
	return nil
}

// startEtcd is embed.StartEtcd, with an end in every case: that one waits for its goroutines, and so for ever for one that has failed.
func (s *Server) startEtcd(cfg *embed.Config) (e *embed.Etcd, err error) {
	ctx, giveUp := context.WithCancelCause(context.Background())
	defer giveUp(nil)
	go func() {
		select {
		case <-s.fatal:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(failGrace):
			giveUp(s.Err())
		case <-ctx.Done():
		}
	}()
	var started *embed.Etcd
	err = guard.Within(ctx, func() (err error) {
		started, err = embed.StartEtcd(cfg)
		return err
	}, func(error) {
		if started != nil {
			started.Close()
		}
	})
	var p *guard.PanicError
	switch {
	case err == nil:
		return started, nil
	case s.Err() != nil:
		err = s.Err()
	case !errors.As(err, &p):
		return nil, err // and has cleaned up
	}
	return nil, fmt.Errorf("etcd cannot go on with folder %q (what is left of its start lasts as long as the process, and may keep folder and port): %w",
		cfg.Dir, err)
}

func (s *Server) waitReady(ctx context.Context, e *embed.Etcd) error {
	select {
	case <-e.Server.ReadyNotify():
		return nil
	case err := <-e.Err():
		return s.plain(err)
	case <-s.fatal:
		return s.Err()
	case <-ctx.Done():
		return fmt.Errorf("not ready in time: %w", context.Cause(ctx))
	}
}

func listenPort(e *embed.Etcd) int {
	if tcp, ok := e.Clients[0].Addr().(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// plain says of etcd's errors what a reader can act on.
func (s *Server) plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "listen" {
		return s.blame("listen", fmt.Errorf("cannot listen on %s: %w", op.Addr, op.Err))
	}
	return err
}

// blame says which key of the section an error is about, and where that is set.
func (s *Server) blame(key string, err error) error {
	if s.origin == nil {
		return err
	}
	if position := s.origin(key); position != "" {
		return fmt.Errorf("%s: %s.%s: %w", position, section, key, err)
	}
	return fmt.Errorf("%s.%s: %w", section, key, err)
}
