// Package keepalive renews leases for those who have to know how long one can be relied on.
//
// What proves that a lease lives is an answer of the server to a request, and it holds from when that was sent, not from when it was answered: the
// server's own clock for the lease started somewhere in between. clientv3's keepalives do not tell when they were sent.
package keepalive

import (
	"context"
	"errors"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/internal/backoff"
)

// ErrGone is that the server does not have the lease.
var ErrGone = errors.New("the lease is lost: it expired or was revoked, or the server has no record of it")

// Lease is one to renew.
type Lease struct {
	Client *clientv3.Client
	ID     clientv3.LeaseID
	TTL    time.Duration
	Retry  backoff.Policy                          // between streams
	Alive  func(sent time.Time, ttl time.Duration) // is called for each answer, with the time of its request
}

// Run renews the lease three times in its TTL, until ctx ends or the lease is gone. While there is no answer it tries again for ever, also after the
// TTL: what an outage stops is the clock of the lease as well.
func (l Lease) Run(ctx context.Context) error {
	for failures := 1; ; failures++ {
		renewed, err := l.stream(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrGone):
			return err
		case renewed:
			failures = 1
		}
		backoff.Wait(ctx, l.Retry.Delay(failures))
	}
}

// stream renews the lease over one stream, until that fails or does not answer in time (the next one may go to another server). It
// tells whether it renewed at all. A member of a cluster that has lost the others ends the stream.
func (l Lease) stream(ctx context.Context) (renewed bool, err error) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	interval := l.TTL / 3
	unanswered := time.AfterFunc(interval, cancel)
	defer unanswered.Stop()
	stream, err := pb.NewLeaseClient(l.Client.ActiveConnection()).LeaseKeepAlive(ctx)
	if err != nil {
		return false, err
	}
	answers := make(chan *pb.LeaseKeepAliveResponse)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel() // before the wait
	reader.Go(func() {
		defer close(answers)
		for {
			answer, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case answers <- answer:
			case <-ctx.Done():
				return
			}
		}
	})
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-answers: // the stream has ended, which a server that was wiped may be the reason of: ask at once
			return renewed, nil
		}
		unanswered.Reset(interval)
		sent := time.Now()
		if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(l.ID)}); err != nil {
			return renewed, err
		}
		answer, ok := <-answers
		switch {
		case !ok:
			return renewed, nil
		case answer.TTL <= 0:
			return renewed, ErrGone
		}
		unanswered.Stop()
		l.Alive(sent, time.Duration(answer.TTL)*time.Second)
		renewed = true
		next.Reset(interval)
	}
}
