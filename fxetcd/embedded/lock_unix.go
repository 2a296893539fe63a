//go:build unix

package embedded

import (
	"errors"
	"os"
	"syscall"
)

// lockFolder locks the folder itself: no file of ours lies among etcd's, and the lock ends with the process, however it ends.
func lockFolder(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, os.NewSyscallError("flock", err)
	}
	return func() {
		// Closing alone would leave it locked as long as a child process that is being started has a copy of the descriptor.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		_ = f.Close()
	}, nil
}
