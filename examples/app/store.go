package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// folder is where the flags are in etcd, each under its own key.
const folder = "flags/"

// A Flag is what the API shows. Its version is the etcd revision that wrote it.
type Flag struct {
	Key     string `json:"key"`
	Version int64  `json:"version"`
	Content
}

// Content is the part of a Flag that is stored as the value of its key.
type Content struct {
	Value   json.RawMessage `json:"value"`
	Enabled bool            `json:"enabled"`
	Expires time.Time       `json:"expires,omitzero"`
	Notify  string          `json:"notify,omitempty"` // the name of the Notifier to tell of changes
}

// expired tells whether readers must no longer see the flag, pruned or not.
func (c Content) expired() bool { return !c.Expires.IsZero() && !time.Now().Before(c.Expires) }

var errNotFound = errors.New("no such flag")

// A conflictError answers a conditional write that came too late.
type conflictError struct {
	Key                string
	Expected, Existing int64 // versions; 0 is no flag
}

func (e *conflictError) Error() string {
	if e.Existing == 0 {
		return fmt.Sprintf("flag %q does not exist, so it has no version %d", e.Key, e.Expected)
	}
	return fmt.Sprintf("flag %q has version %d, not %d", e.Key, e.Existing, e.Expected)
}

// Store keeps flags in the default etcd instance.
type Store struct{ etcd *clientv3.Client }

func newStore(etcd *clientv3.Client) *Store { return &Store{etcd} }

// Put writes a flag. With ifVersion it does so only if the flag has that version, 0 being none.
func (s *Store) Put(ctx context.Context, key string, content Content, ifVersion *int64) (Flag, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return Flag{}, err
	}
	put := clientv3.OpPut(folder+key, string(data))
	if ifVersion == nil {
		done, err := s.etcd.Do(ctx, put)
		if err != nil {
			return Flag{}, err
		}
		return Flag{key, done.Put().Header.Revision, content}, nil
	}
	for revision := *ifVersion; ; {
		done, err := s.etcd.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(folder+key), "=", revision)).
			Then(put).
			Else(clientv3.OpGet(folder + key)).
			Commit()
		if err != nil {
			return Flag{}, err
		}
		if done.Succeeded {
			return Flag{key, done.Header.Revision, content}, nil
		}
		existing, found, err := only(done.Responses[0].GetResponseRange().Kvs)
		if err != nil {
			return Flag{}, err
		}
		switch {
		case !found:
			return Flag{}, &conflictError{Key: key, Expected: *ifVersion}
		case existing.expired() && *ifVersion == 0:
			revision = existing.Version // for a reader it is gone, so it gives way
		default:
			return Flag{}, &conflictError{key, *ifVersion, existing.Version}
		}
	}
}

// Get reads one flag, or fails with errNotFound.
func (s *Store) Get(ctx context.Context, key string) (Flag, error) {
	got, err := s.etcd.Get(ctx, folder+key)
	if err != nil {
		return Flag{}, err
	}
	flag, found, err := only(got.Kvs)
	if err == nil && (!found || flag.expired()) {
		err = errNotFound
	}
	return flag, err
}

// List reads the flags whose keys begin with prefix, sorted by key, and the revision at which that is how they are.
func (s *Store) List(ctx context.Context, prefix string) ([]Flag, int64, error) {
	got, err := s.etcd.Get(ctx, folder+prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, 0, err
	}
	flags := make([]Flag, 0, len(got.Kvs))
	for _, kv := range got.Kvs {
		flag, err := decode(kv)
		if err != nil {
			return nil, 0, err
		}
		if !flag.expired() {
			flags = append(flags, flag)
		}
	}
	return flags, got.Header.Revision, nil
}

// Delete removes a flag, or fails with errNotFound. It returns what the flag was, and the revision of the removal.
func (s *Store) Delete(ctx context.Context, key string) (Flag, int64, error) {
	done, err := s.etcd.Delete(ctx, folder+key, clientv3.WithPrevKV())
	if err != nil {
		return Flag{}, 0, err
	}
	flag, found, err := only(done.PrevKvs)
	if err == nil && (!found || flag.expired()) {
		err = errNotFound
	}
	return flag, done.Header.Revision, err
}

// Prune removes what has expired, and returns how many flags that were. Several processes may do so at once.
func (s *Store) Prune(ctx context.Context) (int, error) {
	got, err := s.etcd.Get(ctx, folder, clientv3.WithPrefix())
	if err != nil {
		return 0, err
	}
	pruned := 0
	for _, kv := range got.Kvs {
		flag, err := decode(kv)
		if err != nil || !flag.expired() {
			continue // what cannot be read is no business of a prune
		}
		done, err := s.etcd.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(string(kv.Key)), "=", kv.ModRevision)).
			Then(clientv3.OpDelete(string(kv.Key))).
			Commit()
		if err != nil {
			return pruned, err
		}
		if done.Succeeded {
			pruned++
		}
	}
	return pruned, nil
}

// only decodes the one key that was asked for, if it exists.
func only(kvs []*mvccpb.KeyValue) (Flag, bool, error) {
	if len(kvs) == 0 {
		return Flag{}, false, nil
	}
	flag, err := decode(kvs[0])
	return flag, err == nil, err
}

func decode(kv *mvccpb.KeyValue) (Flag, error) {
	flag := Flag{Key: strings.TrimPrefix(string(kv.Key), folder), Version: kv.ModRevision}
	if err := json.Unmarshal(kv.Value, &flag.Content); err != nil {
		return Flag{}, fmt.Errorf("etcd key %q, revision %d, holds no flag: %w", kv.Key, kv.ModRevision, err)
	}
	return flag, nil
}
