package watch

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
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

// snapshot is the whole prefix at one revision, the current one. It is read in pages; if the revision is compacted meanwhile, it fails.
func (r reader) snapshot(ctx context.Context) (entries map[string]entry, revision int64, err error) {
	entries = map[string]entry{}
	for key, more := r.key, true; more; {
		page, err := r.get(ctx, key, clientv3.WithRev(revision), clientv3.WithLimit(pageKeys))
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
	}
	return entries, revision, nil
}

// latest is, at a revision, the keys put last, and how many keys there are.
func (r reader) latest(ctx context.Context, revision int64) (kvs []*mvccpb.KeyValue, count int64, err error) {
	response, err := r.get(ctx, r.key, clientv3.WithRev(revision), clientv3.WithLimit(sampleKeys),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	if err != nil {
		return nil, 0, err
	}
	return response.Kvs, response.Count, nil
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
