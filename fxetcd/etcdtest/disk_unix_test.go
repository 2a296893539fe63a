//go:build unix

package etcdtest_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

func TestE7_a_server_uses_less_than_10_MB_of_disk(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	c := s.Client(t)
	for i := range 100 {
		_, err := c.Put(t.Context(), fmt.Sprint("k", i), string(make([]byte, 1024)))
		require.NoError(t, err)
	}
	var used int64
	require.NoError(t, filepath.WalkDir(s.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		used += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	}))
	assert.Less(t, used, int64(10<<20), "blocks on disk, preallocated ones included")
	assert.Positive(t, used)
}
