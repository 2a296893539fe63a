package fxetcd

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// limits is what calls get. The deadline stands outside etcd's own retries: an interceptor of grpc's is called for each attempt, and
// a deadline given there would begin anew with each of a hundred.
type limits struct {
	timeout time.Duration // 0 or less: none
}

// A watchdog ends one call that takes too long. It costs half of what context.WithTimeout does here: the server is not told of the
// deadline, and so need not keep one of its own; it learns of the end by the end.
type watchdog struct {
	timer  *time.Timer
	cancel context.CancelFunc
	fired  atomic.Bool
}

// begin gives a call that brings no deadline one, and a watchdog that must be ended.
func (l limits) begin(ctx context.Context) (context.Context, *watchdog) {
	if l.timeout <= 0 {
		return ctx, nil
	}
	if _, bounded := ctx.Deadline(); bounded {
		return ctx, nil
	}
	w := new(watchdog)
	ctx, w.cancel = context.WithCancel(ctx)
	w.timer = time.AfterFunc(l.timeout, w.bite)
	return ctx, w
}

func (w *watchdog) bite() {
	w.fired.Store(true)
	w.cancel()
}

// end takes the call's error and returns the one to report.
func (l limits) end(w *watchdog, err error) error {
	if w != nil {
		w.timer.Stop()
		w.cancel()
	}
	switch {
	case err == nil:
		return nil
	case w != nil && w.fired.Load():
		// etcd's client asks the caller's context whether an error is its deadline's, and that context has none.
		return fmt.Errorf("no answer within requestTimeout %v: %w%s", l.timeout, context.DeadlineExceeded, attempt(err))
	case status.Code(err) == codes.DeadlineExceeded:
		// etcd's client would replace this by the caller's bare "context deadline exceeded".
		if cause := attempt(err); cause != "" {
			return fmt.Errorf("%w%s", context.DeadlineExceeded, cause)
		}
	}
	return err
}

// attempt is what grpc says of its last attempt to connect, for a call that never found a connection; or nothing.
func attempt(err error) string {
	const before = "latest balancer error: "
	_, cause, ok := strings.Cut(err.Error(), before)
	if !ok || strings.HasPrefix(cause, "context ") {
		return ""
	}
	if _, quoted, ok := strings.Cut(cause, `desc = "`); ok {
		cause = strings.TrimSuffix(quoted, `"`)
	}
	return ": no connection: " + strings.TrimPrefix(cause, "transport: ")
}

// call is begin and end around one call.
func call[Q, R any](l limits, ctx context.Context, in Q, opts []grpc.CallOption, fn func(context.Context, Q, ...grpc.CallOption) (R, error)) (R, error) {
	ctx, w := l.begin(ctx)
	out, err := fn(ctx, in, opts...)
	return out, l.end(w, err)
}

// askForLeader has a server without a leader refuse. It works on each attempt, where etcd's client is done with the context's
// metadata, which it copies twice. Maintenance is left out: a member that has lost its leader must still be able to say so.
func askForLeader(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if !strings.HasPrefix(method, "/etcdserverpb.Maintenance/") {
		ctx = metadata.AppendToOutgoingContext(ctx, rpctypes.MetadataRequireLeaderKey, rpctypes.MetadataHasLeader)
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// limit puts the limits around a client's calls, but for Auth's.
func (l limits) limit(c *clientv3.Client, keepAliveTimeout time.Duration) {
	c.KV = clientv3.NewKVFromKVClient(&limitedKV{clientv3.RetryKVClient(c), l}, c)
	c.Lease = &limitedOnce{clientv3.NewLeaseFromLeaseClient(&limitedLease{clientv3.RetryLeaseClient(c), l}, c, keepAliveTimeout), l}
	c.Cluster = clientv3.NewClusterFromClusterClient(&limitedCluster{clientv3.RetryClusterClient(c), l}, c)
	c.Maintenance = &limitedMaintenance{c.Maintenance, l}
}

type limitedKV struct {
	pb.KVClient
	limits limits
}

func (k *limitedKV) Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	ctx, w := k.limits.begin(ctx)
	out, err := k.KVClient.Range(ctx, in, opts...)
	return out, k.limits.end(w, err)
}

func (k *limitedKV) Put(ctx context.Context, in *pb.PutRequest, opts ...grpc.CallOption) (*pb.PutResponse, error) {
	ctx, w := k.limits.begin(ctx)
	out, err := k.KVClient.Put(ctx, in, opts...)
	return out, k.limits.end(w, err)
}

func (k *limitedKV) DeleteRange(ctx context.Context, in *pb.DeleteRangeRequest, opts ...grpc.CallOption) (*pb.DeleteRangeResponse, error) {
	ctx, w := k.limits.begin(ctx)
	out, err := k.KVClient.DeleteRange(ctx, in, opts...)
	return out, k.limits.end(w, err)
}

func (k *limitedKV) Txn(ctx context.Context, in *pb.TxnRequest, opts ...grpc.CallOption) (*pb.TxnResponse, error) {
	ctx, w := k.limits.begin(ctx)
	out, err := k.KVClient.Txn(ctx, in, opts...)
	return out, k.limits.end(w, err)
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

// limitedOnce is for the one call that is a stream, which it opens, asks once, and closes.
type limitedOnce struct {
	clientv3.Lease
	limits limits
}

func (l *limitedOnce) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	ctx, w := l.limits.begin(ctx)
	out, err := l.Lease.KeepAliveOnce(streamContext{Context: ctx}, id)
	return out, l.limits.end(w, err)
}
