package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/datadir"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/fxkit/fxkit/internal/guard"
)

// readWhole is up to which size a database is read whole, and not only its beginning and its end: a start must not take twice its time to find out
// that all is well.
const readWhole = 64 << 20

// checkData reads the data as etcd is about to, and changes nothing. Damage that etcd meets ends the process (bbolt panics in goroutines of
// its own, and a page behind the end of the file is a SIGBUS), hangs the start, leaves the database locked, or makes a server that is never
// ready. Here it is an error, with nothing left behind.
func checkData(cfg *embed.Config) error {
	database, log := datadir.ToBackendFileName(cfg.Dir), cmp.Or(cfg.WalDir, datadir.ToWALDir(cfg.Dir))
	var applied, first, last uint64
	err := reading(database, func() (err error) { applied, err = appliedIn(database); return err })
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("folder %q: its database is locked: %w", cfg.Dir, ErrInUse)
	}
	if err == nil {
		err = reading(log, func() (err error) { first, last, err = loggedIn(log); return err })
	}
	// A change is in the log before it is in the database, and leaves it after that. What is missing of one, only peers could supply.
	if alone := len(cfg.ListenPeerUrls) == 0; err == nil && alone && (applied < first || last < applied) {
		err = fmt.Errorf("the database has the entries of the log up to %d, and the log those from %d to %d: a part of one is missing", applied, first, last)
	}
	if err != nil {
		return fmt.Errorf("the data in folder %q cannot be read: %w; restore a snapshot, or move the folder away to begin without data", cfg.Dir, err)
	}
	return nil
}

// reading runs read, which may panic, and even fault.
func reading(path string, read func() error) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	err := guard.Call(read)
	var p *guard.PanicError
	var fault runtime.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &fault):
		err = errors.New("it is cut off, or points to what is not there") // what the runtime says is of Go, not of the file
	case errors.As(err, &p):
		err = fmt.Errorf("%v", p.Value) // without the stack
	}
	return fmt.Errorf("%s: %w", path, err)
}

// appliedIn is the last entry of the log that is in the database: 0 if there is none.
func appliedIn(file string) (applied uint64, err error) {
	if info, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return 0, nil // etcd makes one
	}
	db, err := bbolt.Open(file, 0, &bbolt.Options{ReadOnly: true, Timeout: time.Nanosecond}) // try the lock once; etcd would wait for ever
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	err = db.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("it is cut off at %d bytes of %d", info.Size(), tx.Size())
		}
		if info.Size() <= readWhole {
			if err := tx.ForEach(readBucket); err != nil {
				return err
			}
		}
		if meta := tx.Bucket(schema.Meta.Name()); meta != nil {
			if index := meta.Get(schema.MetaConsistentIndexKeyName); len(index) == 8 {
				applied = binary.BigEndian.Uint64(index)
			}
		}
		return nil
	})
	return applied, err
}

// readBucket looks at all that etcd and bbolt look at when they open a database.
func readBucket(name []byte, b *bbolt.Bucket) error {
	var previous []byte
	var kv mvccpb.KeyValue
	return b.ForEach(func(key, value []byte) error {
		if bytes.Compare(previous, key) >= 0 || b.Get(key) == nil {
			return fmt.Errorf("bucket %q: the keys are out of order", name)
		}
		previous = key
		if !bytes.Equal(name, schema.Key.Name()) {
			return nil
		}
		revision := mvcc.BytesToBucketKey(key)
		if err := proto.Unmarshal(value, &kv); err != nil {
			return fmt.Errorf("revision %d: %w", revision.Main, err)
		}
		return nil
	})
}

// loggedIn is the entry that the log goes on from, and the last one that it has: 0 if there is none.
func loggedIn(dir string) (first, last uint64, err error) {
	if !wal.Exist(dir) {
		return 0, 0, nil // etcd makes one
	}
	snapshots, err := wal.ValidSnapshotEntries(zap.NewNop(), dir)
	if err != nil {
		return 0, 0, err
	}
	if len(snapshots) == 0 {
		return 0, 0, errors.New("the write-ahead log has no beginning") // which is an empty snapshot
	}
	begin := snapshots[len(snapshots)-1]
	log, err := wal.OpenForRead(zap.NewNop(), dir, begin)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = log.Close() }()
	_, _, entries, err := log.ReadAll()
	first = begin.GetIndex()
	last = first
	if n := len(entries); n > 0 {
		last = entries[n-1].GetIndex()
	}
	return first, last, err
}
