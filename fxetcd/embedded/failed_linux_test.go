package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E7: etcd, on its way out after such an error, cannot close the log either, and panics.
func TestE7_a_full_disk_fails_the_server_and_not_the_process(t *testing.T) {
	t.Parallel()
	dir, inside := alone(t)
	if !inside {
		start(t, embedded.Config{Dir: dir})
		return
	}
	s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
	require.NoError(t, err)
	c := etcdtest.Client(t, s.Endpoints()...)
	fillDisk(t, filepath.Join(dir, "member", "wal"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = c.Put(ctx, "k", strings.Repeat("x", 1<<20))
	require.Error(t, err, "what is not written is not acknowledged")

	<-s.Failed()
	require.ErrorIs(t, s.Err(), syscall.ENOSPC)
	began := time.Now()
	require.ErrorIs(t, s.Stop(context.Background()), syscall.ENOSPC)
	assert.Less(t, time.Since(began), 8*time.Second)
}

// fillDisk has every file that is open below dir refuse to be written, as on a disk that is full.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	found := false
	for _, entry := range open {
		to, _ := os.Readlink("/proc/self/fd/" + entry.Name())
		if strings.HasPrefix(to, dir) && strings.HasSuffix(to, ".wal") {
			found = true
			fd, err := strconv.Atoi(entry.Name())
			require.NoError(t, err)
			require.NoError(t, syscall.Dup3(int(full.Fd()), fd, 0))
		}
	}
	require.True(t, found)
	require.NoError(t, full.Close())
}
