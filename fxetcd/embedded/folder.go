package embedded

import (
	"errors"
	"fmt"
	"os"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// ErrInUse is in the error of a start on a folder that another server is using, in this process or another.
var ErrInUse = errors.New("the folder is in use by another server")

// claimFolder makes dir this process's own until release. Left to itself, etcd would wait for another process's lock for ever.
func claimFolder(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create folder %q: %w", dir, err)
	}
	if err := tighten(dir); err != nil {
		return nil, err
	}
	if err := fileutil.IsDirWriteable(dir); err != nil {
		return nil, fmt.Errorf("folder %q is not writable: %w", dir, err)
	}
	release, err = lockFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("folder %q: %w", dir, err)
	}
	return release, nil
}

// tighten takes the folder away from other users, where it is clear that it is the server's alone: it is empty, or holds its data and nothing
// else. A folder that somebody made for other things too keeps its mode, and so does one that is not ours to change.
func tighten(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("folder %q: %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a folder", dir)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("folder %q: %w", dir, err)
	}
	for _, entry := range entries {
		if entry.Name() != "member" {
			return nil
		}
	}
	_ = os.Chmod(dir, 0o700)
	return nil
}
