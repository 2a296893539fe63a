//go:build unix

package embedded

import (
	"errors"
	"os"
	"syscall"
)

// lockFolder locks the folder itself: no file of ours lies among etcd's, and the lock ends with the process, however it ends. A lock that
// is shared is one that its owner is giving up, which a process can see of another as well.
func lockFolder(dir string) (claim, error) {
	f, err := os.Open(dir)
	if err != nil {
		return claim{}, err
	}
	lock := func(how int) error {
		conn, err := f.SyscallConn()
		if err != nil {
			return err
		}
		// Under Control, since leave may come at the time of release, when another file may already have the number.
		if closed := conn.Control(func(fd uintptr) { err = syscall.Flock(int(fd), how|syscall.LOCK_NB) }); closed != nil {
			return closed
		}
		return err
	}
	release := func() {
		// Closing alone would leave it locked as long as a child process that is being started has a copy of the descriptor.
		_ = lock(syscall.LOCK_UN)
		_ = f.Close()
	}
	err = lock(syscall.LOCK_EX)
	if err == nil {
		return claim{leave: func() { _ = lock(syscall.LOCK_SH) }, release: release}, nil
	}
	defer release()
	switch {
	case !errors.Is(err, syscall.EWOULDBLOCK):
		return claim{}, os.NewSyscallError("flock", err)
	case lock(syscall.LOCK_SH) == nil:
		return claim{}, errLeaving
	}
	return claim{}, ErrInUse
}
