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
	began := time.Now()
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, i.cfg.DialTimeout)
		defer cancel()
	}
	reading, cancel := context.WithTimeout(ctx, timeToRead(ctx))
	defer cancel()
	_, err := i.client.Get(reading, "health", clientv3.WithKeysOnly())
	switch {
	case err == nil, errors.Is(err, rpctypes.ErrPermissionDenied):
		return nil
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.Cause(ctx)
	}
	return i.explain(ctx, began, err)
}

// timeToRead is ctx's time less what it takes to find out why nobody answered.
func timeToRead(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	return left - max(left/5, min(left/2, 250*time.Millisecond))
}

// rejectOld asks each server for its version. Those that do not answer are not the ones to judge by, nor to wait for.
func (i *instance) rejectOld(ctx context.Context) error {
	endpoints, err := parseEndpoints(i.client.Endpoints())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeToRead(ctx)/2)
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
