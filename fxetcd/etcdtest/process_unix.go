//go:build unix && !linux

package etcdtest

import (
	"os"
	"syscall"
)

// endWithParent is nothing here: the child notices the closing of its standard input.
func endWithParent() *syscall.SysProcAttr { return nil }

func suspend(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func proceed(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
