package fxetcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/api/v3/version"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/internal/backoff"
)

// probe waits until a server answers, for DialTimeout at most.
func (i *instance) probe(ctx context.Context) error {
	i.quiet.Store(true) // the error says more than the client's log
	defer i.quiet.Store(false)
	began := time.Now()
	if err := i.ask(ctx, patience(ctx, i.cfg.DialTimeout), i.insist); err != nil {
		return err
	}
	if i.cfg.RejectOldCluster {
		// Half of what is left, or a little more than DialTimeout where a server has come late: that it is there does not make it new enough.
		ctx, cancel := context.WithTimeout(ctx, max((i.cfg.DialTimeout-time.Since(began))/2, i.cfg.DialTimeout/5))
		defer cancel()
		return i.rejectOld(ctx)
	}
	return nil
}

// check reads once like any reader: linearizable, so that a member alone is no answer, and with the client's own credentials. That a key
// may not be read is an answer too.
func (i *instance) check(ctx context.Context) error {
	most := i.cfg.DialTimeout
	if deadline, bounded := ctx.Deadline(); bounded {
		most = time.Until(deadline)
	}
	return i.ask(ctx, patience(ctx, most), i.read)
}

// patience is how long to wait for an answer: for most, but a tenth less than ctx lasts, half a second at most. Whoever leaves when ctx ends shall
// have the reasons by then, and not only the end.
func patience(ctx context.Context, most time.Duration) time.Duration {
	if deadline, bounded := ctx.Deadline(); bounded {
		left := time.Until(deadline)
		return min(most, left-min(left/10, 500*time.Millisecond))
	}
	return most
}

// ask has read wait for an answer, for most at most, and says why there was none.
func (i *instance) ask(ctx context.Context, most time.Duration, read func(context.Context) error) error {
	began := time.Now()
	waiting, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	// Halfway through, the reasons are looked for while the read goes on waiting, so that they are there when it has waited in vain.
	reasons := make(chan causes, 1)
	look := time.AfterFunc(most/2, func() { reasons <- i.tryAllByHand(waiting) })
	err := read(waiting)
	early := look.Stop()
	switch {
	case err == nil, errors.Is(err, rpctypes.ErrPermissionDenied):
		return nil
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.Cause(ctx)
	}
	return i.explain(err, began, func() causes {
		if early {
			return i.tryAllByHand(waiting)
		}
		return <-reasons
	})
}

// read makes one call. Where time runs out between two of its attempts, what the last one was told is the reason.
func (i *instance) read(ctx context.Context) error {
	last := new(lastAttempt)
	_, err := i.client.Get(context.WithValue(ctx, lastAttempt{}, last), "health", clientv3.WithKeysOnly())
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(rpctypes.Error(last.err), rpctypes.ErrNoLeader) {
		return rpctypes.Error(last.err)
	}
	return err
}

// askEvery is how soon startup notices that a server is there. connectBackoff, which may leave it seconds, is for the time after.
const askEvery = 200 * time.Millisecond

// insist reads until there is an answer. A member whose cluster has no leader yet and a server that stops give none, however few
// repetitions the client's calls may have.
func (i *instance) insist(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var connecting sync.WaitGroup
	defer connecting.Wait()
	defer cancel()
	connecting.Go(func() {
		conn := i.client.ActiveConnection()
		for backoff.Wait(ctx, askEvery) {
			// grpc looks through the connections to the endpoints with no lock. In this state it has made all of them.
			if conn.GetState() == connectivity.TransientFailure {
				conn.ResetConnectBackoff()
			}
		}
	})
	for {
		err := i.read(ctx)
		if !unavailable(err) || !backoff.Wait(ctx, askEvery) {
			return err
		}
	}
}

func unavailable(err error) bool {
	var told rpctypes.EtcdError
	if errors.As(err, &told) {
		return told.Code() == codes.Unavailable
	}
	return status.Code(err) == codes.Unavailable
}

// rejectOld asks each server for its version. Those that do not answer are not the ones to judge by, nor to wait for.
func (i *instance) rejectOld(ctx context.Context) error {
	endpoints, err := parseEndpoints(i.client.Endpoints())
	if err != nil {
		return err
	}
	problems, all := make([]error, len(endpoints)), sync.WaitGroup{}
	for n, e := range endpoints {
		all.Go(func() {
			if i.tryByHand(ctx, e) != nil {
				return // etcd's client would wait for it until the end
			}
			status, err := i.client.Status(ctx, e.text)
			if err == nil && older(status.Version, oldestVersion()) {
				problems[n] = fmt.Errorf("%s: the server is too old (%s; at least %s, or set rejectOldCluster: false): %w",
					e.text, status.Version, oldestVersion(), clientv3.ErrOldCluster)
			}
		})
	}
	all.Wait()
	problems = slices.DeleteFunc(problems, func(err error) bool { return err == nil })
	if len(problems) == 0 {
		return nil
	}
	return causes(problems)
}

// oldestVersion is the minor version before the client's own: etcd promises no more.
func oldestVersion() string {
	major, minor := minorVersion(version.Version)
	return fmt.Sprintf("%d.%d", major, max(minor-1, 0))
}

func older(a, b string) bool {
	aMajor, aMinor := minorVersion(a)
	bMajor, bMinor := minorVersion(b)
	return aMajor < bMajor || aMajor == bMajor && aMinor < bMinor
}

func minorVersion(v string) (major, minor int) {
	parts := strings.SplitN(v, ".", 3)
	major, _ = strconv.Atoi(parts[0])
	if len(parts) > 1 {
		minor, _ = strconv.Atoi(parts[1])
	}
	return major, minor
}
