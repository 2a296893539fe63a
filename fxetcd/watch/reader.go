package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxetcd/internal/outage"
)

const (
	// pageKeys is how many keys one read of a snapshot asks for.
	pageKeys = 500
	// sampleKeys is how many keys are compared to see whether the server's history is the one known.
	sampleKeys = 100
)

// reader reads a prefix. Its reads are linearizable.
type reader struct {
	client   *clientv3.Client
	key, end string
}

// tooLargeError is that the client cannot receive a single key.
type tooLargeError struct{ key string }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("the value of %q is larger than the client may receive: raise its maxReceiveSize (clientv3's MaxCallRecvMsgSize)", e.key)
}

// tooLarge tells whether an answer was larger than the client may receive.
func tooLarge(err error) bool { return status.Code(err) == codes.ResourceExhausted }

// snapshot is the whole prefix at one revision, the current one. It is read in pages; if the revision is compacted meanwhile, or the
// server is wiped or restored, it fails. Pages shrink to what the client may receive, and a slow link carries in time.
func (r reader) snapshot(ctx context.Context) (entries map[string]entry, revision int64, err error) {
	entries = map[string]entry{}
	pages, limit, most := 0, pageKeys, pageKeys
	for key, more := r.key, true; more; pages++ {
		asked := time.Now()
		page, used, err := r.page(ctx, key, limit, clientv3.WithRev(revision))
		if err != nil {
			return nil, 0, err
		}
		if revision == 0 {
			revision = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			entries[string(kv.Key)] = entry{kv.Value, kv.ModRevision}
			key = string(kv.Key) + "\x00"
		}
		more = page.More
		if used.tooLarge {
			most = used.limit
		}
		if limit = used.limit; time.Since(asked) < requestTimeout/4 {
			limit = min(2*limit, most)
		}
	}
	if pages > 1 {
		first, _, err := r.page(ctx, r.key, sampleKeys, clientv3.WithRev(revision))
		if err != nil {
			return nil, 0, err
		}
		for _, kv := range first.Kvs { // which were in the first page
			if !entries[string(kv.Key)].is(kv) {
				return nil, 0, errUnconfirmed
			}
		}
	}
	return entries, revision, nil
}

// latest is, at a revision, the keys put last, and how many keys there are.
func (r reader) latest(ctx context.Context, revision int64) (kvs []*mvccpb.KeyValue, count int64, err error) {
	response, _, err := r.page(ctx, r.key, sampleKeys, clientv3.WithRev(revision), clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	if err != nil {
		return nil, 0, err
	}
	return response.Kvs, response.Count, nil
}

// used is how many keys a page could have, and whether it was too large before.
type used struct {
	limit    int
	tooLarge bool
}

// page reads so many keys, or a half of that, and so on, as long as the answer is too large, or takes too long.
func (r reader) page(ctx context.Context, key string, limit int, opts ...clientv3.OpOption) (*clientv3.GetResponse, used, error) {
	u := used{limit: limit}
	for {
		response, err := r.get(ctx, key, append(opts[:len(opts):len(opts)], clientv3.WithLimit(int64(u.limit)))...)
		u.tooLarge = u.tooLarge || tooLarge(err)
		switch {
		case err == nil:
			return response, u, nil
		case ctx.Err() != nil, !tooLarge(err) && !errors.Is(outage.Reason(err), outage.ErrSilent): // a client that says why waits for no page
			return nil, u, err
		case u.limit > 1:
			u.limit /= 2
		case tooLarge(err):
			return nil, u, r.blame(ctx, key, opts...)
		default:
			return nil, u, err
		}
	}
}

// blame names the first key of a page, whose value is too large. While it cannot be named there is no telling.
func (r reader) blame(ctx context.Context, key string, opts ...clientv3.OpOption) error {
	response, err := r.get(ctx, key, append(opts, clientv3.WithLimit(1), clientv3.WithKeysOnly())...)
	switch {
	case err != nil:
		return err
	case len(response.Kvs) == 0:
		return errUnconfirmed // it was deleted meanwhile
	}
	return &tooLargeError{string(response.Kvs[0].Key)}
}

// revision is the current one.
func (r reader) revision(ctx context.Context) (int64, error) {
	response, err := r.get(ctx, r.key, clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return response.Header.Revision, nil
}

func (r reader) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), requestTimeout)
	defer cancel()
	return r.client.Get(ctx, key, append(opts, clientv3.WithRange(r.end))...)
}
