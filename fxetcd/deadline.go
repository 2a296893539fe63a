package fxetcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// limits is what calls get. The deadline stands outside etcd's own retries: an interceptor of grpc's is called for each attempt, and
// a deadline given there would begin anew with each of a hundred.
type limits struct {
	timeout time.Duration // 0 or less: none
	dogs    *watchdogs
}

// begin gives a call that brings no deadline one, and a watchdog that must be ended.
func (l limits) begin(ctx context.Context) (context.Context, *watchdog) {
	if l.timeout <= 0 {
		return ctx, nil
	}
	if _, bounded := ctx.Deadline(); bounded {
		return ctx, nil
	}
	return l.dogs.watch(ctx, l.timeout)
}

// end takes the call's error and returns the one to report.
func (l limits) end(w *watchdog, err error) error {
	late := w != nil && l.dogs.release(w)
	switch {
	case err == nil:
		return nil
	case late:
		// etcd's client asks the caller's context whether an error is its deadline's, and that context has none.
		return fmt.Errorf("no answer within requestTimeout %v: %w%s", l.timeout, context.DeadlineExceeded, attempt(err))
	case status.Code(err) == codes.DeadlineExceeded:
		// etcd's client would replace this by the caller's bare "context deadline exceeded".
		if cause := attempt(err); cause != "" {
			return fmt.Errorf("%w%s", context.DeadlineExceeded, cause)
		}
	}
	return disclose(err)
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
	if strings.Contains(cause, "dial tcp "+placeholder+": ") {
		return ": no connection: the application's etcd server is not started yet"
	}
	return ": no connection: " + strings.TrimPrefix(cause, "transport: ")
}

// call is begin and end around one call.
func call[Q, R any](l limits, ctx context.Context, in Q, opts []grpc.CallOption, fn func(context.Context, Q, ...grpc.CallOption) (R, error)) (R, error) {
	ctx, w := l.begin(ctx)
	out, err := fn(ctx, in, opts...)
	return out, l.end(w, err)
}

// eachAttempt stands inside etcd's retries, where etcd's client is done with the context's metadata, which it copies twice. With requireLeader
// it has a server without a leader refuse. Maintenance is left out: a member that has lost its leader must still be able to say so.
func eachAttempt(requireLeader bool) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if requireLeader && !strings.HasPrefix(method, "/etcdserverpb.Maintenance/") {
			ctx = metadata.AppendToOutgoingContext(ctx, rpctypes.MetadataRequireLeaderKey, rpctypes.MetadataHasLeader)
		}
		err := invoke(ctx, method, req, reply, cc, opts...)
		if err == nil {
			return nil
		}
		if last, ok := ctx.Value(lastAttempt{}).(*lastAttempt); ok {
			last.note(err)
		}
		if status.Code(err) == codes.Canceled && ctx.Err() == nil && cc.GetState() == connectivity.Shutdown {
			return &closed{err}
		}
		return err
	}
}

// lastAttempt is how a call's last attempt failed; it is also its key in the call's context. The attempts are one after the other.
type lastAttempt struct{ err error }

// note leaves out an attempt that was under way when the time ran out: it was told nothing.
func (l *lastAttempt) note(err error) {
	if status.Code(err) != codes.DeadlineExceeded || attempt(err) != "" {
		l.err = err
	}
}

// closed is the end of a call because its client is closed. grpc says Canceled then, as it does of a call that its caller has given up, and
// etcd's client, which knows that the caller has not, repeats the call for seconds. So that word is kept from it until the retries are over.
type closed struct{ err error }

func (c *closed) Error() string { return "the client is closed: " + c.err.Error() }

// GRPCStatus is of a code that nobody repeats a call for, and nobody logs.
func (c *closed) GRPCStatus() *status.Status { return status.New(codes.FailedPrecondition, c.Error()) }

// disclose undoes closed, for the caller: the code is grpc's again.
func disclose(err error) error {
	var c *closed
	if errors.As(err, &c) {
		return errClosed(c.err)
	}
	return err
}

func errClosed(err error) error { return fmt.Errorf("the client is closed: %w", err) }

// limit puts the limits around a client's calls, but for Auth's.
func (l limits) limit(c *clientv3.Client, keepAliveTimeout time.Duration) {
	c.KV = clientv3.NewKVFromKVClient(&limitedKV{clientv3.RetryKVClient(c), l}, c)
	c.Lease = &limitedOnce{clientv3.NewLeaseFromLeaseClient(&limitedLease{clientv3.RetryLeaseClient(c), l}, c, keepAliveTimeout), l, c.Ctx()}
	c.Cluster = clientv3.NewClusterFromClusterClient(&limitedCluster{clientv3.RetryClusterClient(c), l}, c)
	c.Maintenance = &limitedMaintenance{c.Maintenance, l, c.Ctx()}
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
	open   context.Context // ends when the client is closed
}

func (l *limitedOnce) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	return whileOpen(l.open, ctx, l.limits, func(ctx context.Context) (*clientv3.LeaseKeepAliveResponse, error) {
		return l.Lease.KeepAliveOnce(streamContext{Context: ctx}, id)
	})
}

// whileOpen is begin and end around one call that ends with the client of its own accord: a stream has no retries to end, and some of
// Maintenance's calls have a connection of their own, which the client does not close.
func whileOpen[R any](open, ctx context.Context, l limits, fn func(context.Context) (R, error)) (R, error) {
	calling, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(open, cancel)()
	limited, w := l.begin(calling)
	out, err := fn(limited)
	err = l.end(w, err)
	canceled := errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled
	if canceled && ctx.Err() == nil && open.Err() != nil {
		err = errClosed(status.FromContextError(open.Err()).Err())
	}
	return out, err
}
