//go:build !unix

package embedded

import (
	"errors"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// lockFolder locks a file in the folder, since a folder cannot be locked here.
// Nobody sees that it is being given up.
func lockFolder(dir string) (claim, error) {
	f, err := fileutil.TryLockFile(filepath.Join(dir, "lock"), fileutil.PrivateFileMode, fileutil.PrivateFileMode)
	if errors.Is(err, fileutil.ErrLocked) {
		return claim{}, ErrInUse
	}
	if err != nil {
		return claim{}, err
	}
	return claim{leave: func() {}, release: func() { _ = f.Close() }}, nil
}
