//go:build !unix

package etcdtest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// endWithParent is nothing here: the child notices the closing of its standard input.
func endWithParent() *syscall.SysProcAttr { return nil }

func suspend(*os.Process) error {
	return fmt.Errorf("%s cannot stop a process and continue it: %w", runtime.GOOS, errors.ErrUnsupported)
}

func proceed(p *os.Process) error { return suspend(p) }
