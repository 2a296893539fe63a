package embedded_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// filled is a folder with the data of a server that has stopped: sixty keys.
func filled(t *testing.T, opts ...embedded.Option) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "etcd")
	s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, append(opts, embedded.WithLogger(zap.NewNop()))...)
	require.NoError(t, err)
	c := etcdtest.Client(t, s.Endpoints()...)
	for n := range 60 {
		_, err := c.Put(within(t, plenty), fmt.Sprint("k", n), strings.Repeat("x", 1000))
		require.NoError(t, err)
	}
	require.NoError(t, s.Stop(t.Context()))
	return dir
}

// flip changes n bytes of a file, at each multiple of every.
func flip(t *testing.T, file string, offset, n, every int) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	for ; offset < len(data); offset += every {
		for i := offset; i < min(offset+n, len(data)); i++ {
			data[i] ^= 0x55
		}
	}
	require.NoError(t, os.WriteFile(file, data, 0o600))
}

// G3, G5, E7: left to itself etcd hangs, panics, ends the process, or is never ready, whichever it is.
func TestE7_damaged_data_are_an_error_at_once_that_leaves_nothing_behind(t *testing.T) {
	t.Parallel()
	const (
		db   = "member/snap/db"
		wal  = "member/wal/0000000000000000-0000000000000000.wal"
		much = 1 << 30
	)
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, dir string) error
		want   string
	}{
		{"a database without its first pages", func(t *testing.T, dir string) error {
			flip(t, filepath.Join(dir, db), 0, 9000, much)
			return nil
		}, db + ": invalid database"},
		{"a database with damaged pages", func(t *testing.T, dir string) error {
			flip(t, filepath.Join(dir, db), 2*4096, 32, 4096)
			return nil
		}, db + ": assertion failed: Page expected to be"},
		{"a database with damaged values", func(t *testing.T, dir string) error {
			return update(filepath.Join(dir, db), func(b *bbolt.Bucket, key []byte) error { return b.Put(key, []byte("garbage")) })
		}, db + ": revision "},
		{"a database with damaged keys", func(t *testing.T, dir string) error {
			return update(filepath.Join(dir, db), func(b *bbolt.Bucket, _ []byte) error { return b.Put([]byte("garbage"), []byte("garbage")) })
		}, db + ": invalid revision length"},
		{"a database of a few bytes", func(_ *testing.T, dir string) error {
			return os.Truncate(filepath.Join(dir, db), 100)
		}, db + ": invalid database"},
		{"a database of two pages", func(_ *testing.T, dir string) error {
			return os.Truncate(filepath.Join(dir, db), 2*4096)
		}, db + ": it is cut off at 8192 bytes of "},
		{"a database that is cut off", func(_ *testing.T, dir string) error {
			return os.Truncate(filepath.Join(dir, db), 10*4096)
		}, db + ": it is cut off at 40960 bytes of "},
		{"a database that is a folder", func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, db)), os.Mkdir(filepath.Join(dir, db), 0o700))
		}, db},
		{"a log of garbage", func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, wal), []byte(strings.Repeat("garbage ", 6)), 0o600)
		}, "member/wal: the write-ahead log has no beginning"},
		{"an empty log", func(_ *testing.T, dir string) error {
			return os.Truncate(filepath.Join(dir, wal), 0)
		}, "member/wal: the write-ahead log has no beginning"},
		{"a log with a damaged entry", func(t *testing.T, dir string) error {
			flip(t, filepath.Join(dir, wal), 30_000, 8, much)
			return nil
		}, "member/wal: walpb: crc mismatch"},
		{"a log that is cut off", func(_ *testing.T, dir string) error {
			return os.Truncate(filepath.Join(dir, wal), 30_001)
		}, "a part of one is missing"},
		{"a log that is gone", func(_ *testing.T, dir string) error {
			return os.RemoveAll(filepath.Join(dir, "member/wal"))
		}, "a part of one is missing"},
		{"a log of another name", func(_ *testing.T, dir string) error {
			return os.Rename(filepath.Join(dir, wal), filepath.Join(dir, "member/wal/other.wal"))
		}, "member/wal: wal: file not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t)
			require.NoError(t, tt.damage(t, dir))
			for range 2 { // the first has changed nothing
				began := time.Now()
				_, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
				require.ErrorContains(t, err, fmt.Sprintf("embedded: start etcd at 127.0.0.1:0: the data in folder %q cannot be read: ", dir))
				assert.ErrorContains(t, err, tt.want)
				assert.ErrorContains(t, err, "; restore a snapshot, or move the folder away to begin without data")
				assert.NotContains(t, err.Error(), "goroutine")
				assert.Less(t, time.Since(began), plenty/2)
			}
			require.NoError(t, os.Rename(filepath.Join(dir, "member"), filepath.Join(dir, "damaged")))
			start(t, embedded.Config{Dir: dir}) // the folder is free
		})
	}
}

// update changes the first of the values in a database.
func update(file string, change func(b *bbolt.Bucket, first []byte) error) error {
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		return err
	}
	return errors.Join(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("key"))
		first, _ := b.Cursor().First()
		return change(b, first)
	}), db.Close())
}

func TestE7_data_that_etcd_can_repair_are_no_error(t *testing.T) {
	t.Parallel()
	count := func(t *testing.T, dir string, opts ...embedded.Option) int64 {
		t.Helper()
		s := start(t, embedded.Config{Dir: dir}, opts...)
		got, err := etcdtest.Client(t, s.Endpoints()...).Get(within(t, plenty), "k", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return got.Count
	}
	t.Run("a database that the log has all of", func(t *testing.T) {
		t.Parallel()
		dir := filled(t)
		require.NoError(t, os.Remove(filepath.Join(dir, "member/snap/db")))
		assert.EqualValues(t, 60, count(t, dir))
	})
	t.Run("a log that goes on from a snapshot", func(t *testing.T) {
		t.Parallel()
		often := embedded.Configure(func(cfg *embed.Config) { cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 10, 1 })
		dir := filled(t, often)
		kept := filepath.Join(t.TempDir(), "kept")
		require.NoError(t, os.CopyFS(kept, os.DirFS(dir)))
		assert.EqualValues(t, 60, count(t, dir, often))

		require.NoError(t, os.Remove(filepath.Join(kept, "member/snap/db")))
		_, err := embedded.Start(within(t, plenty), embedded.Config{Dir: kept}, often, embedded.WithLogger(zap.NewNop()))
		assert.ErrorContains(t, err, "a part of one is missing", "such a log has not all of the database")
	})
	t.Run("a torn last write", func(t *testing.T) {
		t.Parallel()
		dir := filled(t)
		require.NoError(t, appendTorn(filepath.Join(dir, "member/wal/0000000000000000-0000000000000000.wal")))
		assert.EqualValues(t, 60, count(t, dir))
		assert.FileExists(t, filepath.Join(dir, "member/wal/0000000000000000-0000000000000000.wal.broken"), "etcd keeps what it cuts off")
	})
}

// appendTorn gives a log the begin of one more entry, as a crash does: a length, and less than that many bytes.
func appendTorn(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	end := (len(bytes.TrimRight(data, "\x00")) + 7) / 8 * 8 // entries are padded
	torn := binary.LittleEndian.AppendUint64(data[:end:end], 1000)
	return os.WriteFile(file, append(torn, 1, 2, 3), 0o600)
}

// E7: a plain etcd has its database locked, and etcd would wait for that lock for ever.
func TestE7_a_database_that_another_program_has_open_is_in_use(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	db, err := bbolt.Open(filepath.Join(dir, "member/snap/db"), 0o600, nil)
	require.NoError(t, err)
	began := time.Now()
	_, err = embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
	require.ErrorIs(t, err, embedded.ErrInUse)
	assert.Less(t, time.Since(began), 2*time.Second)
	require.NoError(t, db.Close())
	start(t, embedded.Config{Dir: dir})
}

// G5, E7: a goroutine that etcd's start waits for is gone.
func TestE7_a_start_that_etcd_does_not_finish_is_an_error_with_its_reason(t *testing.T) {
	t.Parallel()
	dir, inside := alone(t)
	if !inside {
		return
	}
	began := time.Now()
	_, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()),
		embedded.Configure(func(cfg *embed.Config) { cfg.QuotaBackendBytes = 1 << 50 })) // which no machine can map
	require.ErrorContains(t, err, fmt.Sprintf("etcd cannot go on with folder %q (what is left of its start lasts as long as the process, "+
		"and may keep folder and port): failed to open database: ", dir))
	assert.Less(t, time.Since(began), 5*time.Second)
	start(t, embedded.Config{Dir: dir}) // here it does not keep the folder
}
