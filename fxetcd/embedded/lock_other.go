//go:build !unix

package embedded

import (
	"errors"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// lockFolder locks a file in the folder, since a folder cannot be locked here.
func lockFolder(dir string) (release func(), err error) {
	f, err := fileutil.TryLockFile(filepath.Join(dir, "lock"), fileutil.PrivateFileMode, fileutil.PrivateFileMode)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
