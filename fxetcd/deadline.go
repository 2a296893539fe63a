package fxetcd

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// limits is what every call gets. It stands outside etcd's own retries: an interceptor of grpc's is called for each attempt, and a
// deadline given there would begin anew with each of a hundred.
type limits struct {
	timeout       time.Duration // 0: none
	requireLeader bool
}

// begin prepares a call's context. end takes the call's error and returns the one to report.
func (l limits) begin(ctx context.Context) (inner context.Context, end func(error) error) {
	if l.requireLeader {
		ctx = metadata.AppendToOutgoingContext(ctx, rpctypes.MetadataRequireLeaderKey, rpctypes.MetadataHasLeader)
	}
	if l.timeout <= 0 {
		return ctx, unchanged
	}
	if _, bounded := ctx.Deadline(); bounded {
		return ctx, unchanged
	}
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	return bounded, func(err error) error {
		// etcd's client asks the caller's context whether an error is its deadline's, and that context has none.
		if err != nil && bounded.Err() == context.DeadlineExceeded { //nolint:errorlint // a context's error is this value
			err = fmt.Errorf("no answer within requestTimeout %v: %w", l.timeout, context.DeadlineExceeded)
		}
		cancel()
		return err
	}
}

func unchanged(err error) error { return err }

// call is begin and end around one call.
func call[Q, R any](l limits, ctx context.Context, in Q, opts []grpc.CallOption, fn func(context.Context, Q, ...grpc.CallOption) (R, error)) (R, error) {
	ctx, end := l.begin(ctx)
	out, err := fn(ctx, in, opts...)
	return out, end(err)
}

// limit puts the limits around a client's calls.
func (l limits) limit(c *clientv3.Client, keepAliveTimeout time.Duration) {
	c.KV = clientv3.NewKVFromKVClient(&limitedKV{clientv3.RetryKVClient(c), l}, c)
	c.Lease = clientv3.NewLeaseFromLeaseClient(&limitedLease{clientv3.RetryLeaseClient(c), l}, c, keepAliveTimeout)
	c.Cluster = clientv3.NewClusterFromClusterClient(&limitedCluster{clientv3.RetryClusterClient(c), l}, c)
	c.Auth = clientv3.NewAuthFromAuthClient(&limitedAuth{clientv3.RetryAuthClient(c), l}, c)
	// A member that has lost its leader must still be able to say so.
	c.Maintenance = &limitedMaintenance{c.Maintenance, limits{timeout: l.timeout}}
	if l.requireLeader {
		c.Watcher = &leaderWatcher{c.Watcher}
	}
}

type limitedKV struct {
	pb.KVClient
	limits limits
}

func (k *limitedKV) Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	ctx, end := k.limits.begin(ctx)
	out, err := k.KVClient.Range(ctx, in, opts...)
	return out, end(err)
}

func (k *limitedKV) Put(ctx context.Context, in *pb.PutRequest, opts ...grpc.CallOption) (*pb.PutResponse, error) {
	ctx, end := k.limits.begin(ctx)
	out, err := k.KVClient.Put(ctx, in, opts...)
	return out, end(err)
}

func (k *limitedKV) DeleteRange(ctx context.Context, in *pb.DeleteRangeRequest, opts ...grpc.CallOption) (*pb.DeleteRangeResponse, error) {
	ctx, end := k.limits.begin(ctx)
	out, err := k.KVClient.DeleteRange(ctx, in, opts...)
	return out, end(err)
}

func (k *limitedKV) Txn(ctx context.Context, in *pb.TxnRequest, opts ...grpc.CallOption) (*pb.TxnResponse, error) {
	ctx, end := k.limits.begin(ctx)
	out, err := k.KVClient.Txn(ctx, in, opts...)
	return out, end(err)
}

func (k *limitedKV) Compact(ctx context.Context, in *pb.CompactionRequest, opts ...grpc.CallOption) (*pb.CompactionResponse, error) {
	return call(k.limits, ctx, in, opts, k.KVClient.Compact)
}

type limitedLease struct {
	pb.LeaseClient
	limits limits
}

func (l *limitedLease) LeaseGrant(ctx context.Context, in *pb.LeaseGrantRequest, opts ...grpc.CallOption) (*pb.LeaseGrantResponse, error) {
	return call(l.limits, ctx, in, opts, l.LeaseClient.LeaseGrant)
}

func (l *limitedLease) LeaseRevoke(ctx context.Context, in *pb.LeaseRevokeRequest, opts ...grpc.CallOption) (*pb.LeaseRevokeResponse, error) {
	return call(l.limits, ctx, in, opts, l.LeaseClient.LeaseRevoke)
}

func (l *limitedLease) LeaseTimeToLive(ctx context.Context, in *pb.LeaseTimeToLiveRequest, opts ...grpc.CallOption) (*pb.LeaseTimeToLiveResponse, error) {
	return call(l.limits, ctx, in, opts, l.LeaseClient.LeaseTimeToLive)
}

func (l *limitedLease) LeaseLeases(ctx context.Context, in *pb.LeaseLeasesRequest, opts ...grpc.CallOption) (*pb.LeaseLeasesResponse, error) {
	return call(l.limits, ctx, in, opts, l.LeaseClient.LeaseLeases)
}

// leaderWatcher asks on the same stream for progress as for the watch: a stream is found by the context's metadata.
type leaderWatcher struct{ clientv3.Watcher }

func (w *leaderWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	return w.Watcher.Watch(clientv3.WithRequireLeader(ctx), key, opts...)
}

func (w *leaderWatcher) RequestProgress(ctx context.Context) error {
	return w.Watcher.RequestProgress(clientv3.WithRequireLeader(ctx))
}
