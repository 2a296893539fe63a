package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// ErrInUse is in the error of a start on a folder that another server is using, in this process or another.
var ErrInUse = errors.New("the folder is in use by another server")

const (
	noticeTime    = 100 * time.Millisecond // in which an owner whose context has ended says that it leaves
	leaveTimeout  = 5 * time.Second        // in which it then does
	leaveInterval = 10 * time.Millisecond  // at which that is looked for
)

// A claim is a folder that belongs to one server, in this process or another.
type claim struct {
	leave   func() // says that release is near: others wait for it
	release func()
}

// errLeaving is lockFolder's for a folder whose owner has called leave.
var errLeaving = errors.New("the folder is being given up by another server")

// claimFolder makes dir a server's own. Left to itself, etcd would wait for another process's lock for ever.
func claimFolder(ctx context.Context, dir string) (claim, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return claim{}, fmt.Errorf("create folder %q: %w", dir, err)
	}
	c, err := awaitFolder(ctx, dir)
	if err != nil {
		return claim{}, fmt.Errorf("folder %q: %w", dir, err)
	}
	// Only now: a server that is on its way out makes and removes the same file to find out.
	err = tighten(dir)
	if err == nil {
		if err = fileutil.IsDirWriteable(dir); err != nil {
			err = fmt.Errorf("folder %q is not writable: %w", dir, err)
		}
	}
	if err != nil {
		c.release()
		return claim{}, err
	}
	return c, nil
}

// awaitFolder locks dir, and waits for an owner that is giving it up.
func awaitFolder(ctx context.Context, dir string) (claim, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, leaveTimeout, ErrInUse)
	defer cancel()
	for noticed := time.Now().Add(noticeTime); ; {
		c, err := lockFolder(dir)
		wait := errors.Is(err, errLeaving) || errors.Is(err, ErrInUse) && time.Now().Before(noticed)
		if !wait {
			return c, err
		}
		select {
		case <-time.After(leaveInterval):
		case <-ctx.Done():
			return claim{}, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
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
