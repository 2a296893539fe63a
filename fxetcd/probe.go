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
)

// probe waits until a server answers, for DialTimeout at most.
func (i *instance) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, i.cfg.DialTimeout)
	defer cancel()
	i.quiet.Store(true) // the error says more than the client's log
	defer i.quiet.Store(false)
	if err := i.check(ctx); err != nil {
		return err
	}
	if i.cfg.RejectOldCluster {
		return i.rejectOld(ctx)
	}
	return nil
}

// check reads like any reader: linearizable, so that a member alone is no answer, and with the client's own credentials. That a key
// may not be read is an answer too.
func (i *instance) check(ctx context.Context) error {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		deadline = time.Now().Add(i.cfg.DialTimeout)
	}
	given := time.Until(deadline)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	reading, cancel := context.WithTimeout(ctx, given-given/5)
	defer cancel()

	// Halfway through, the reasons are looked for while the read goes on waiting, so that they are there when it has waited in vain,
	// and the error is there before our caller gives up on us.
	looking, cancel := context.WithTimeout(ctx, given-given/10)
	defer cancel()
	reasons := make(chan causes, 1)
	look := time.AfterFunc(given/2, func() { reasons <- i.tryAllByHand(looking) })
	_, err := i.client.Get(reading, "health", clientv3.WithKeysOnly())
	early := look.Stop()
	switch {
	case err == nil, errors.Is(err, rpctypes.ErrPermissionDenied):
		return nil
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.Cause(ctx)
	}
	return i.explain(err, given, func() causes {
		if early {
			return i.tryAllByHand(looking)
		}
		return <-reasons
	})
}

// rejectOld asks each server for its version. Those that do not answer are not the ones to judge by, nor to wait for.
func (i *instance) rejectOld(ctx context.Context) error {
	endpoints, err := parseEndpoints(i.client.Endpoints())
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
	defer cancel()
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
