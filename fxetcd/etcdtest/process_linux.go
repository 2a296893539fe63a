package etcdtest

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// endWithParent has the kernel kill the child when this process ends, paused or not.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// suspend waits until every thread of the process has stopped, since the signal alone says nothing about when that is.
func suspend(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return os.NewSyscallError("waitid", err)
		}
	}
}

func proceed(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
