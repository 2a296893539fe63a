package freeport

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
)

func reserve(host string) (int, func(), error) {
	addr, err := net.DefaultResolver.LookupIPAddr(context.Background(), host)
	if err != nil {
		return 0, nil, err
	}
	ip := addr[0].IP
	family, sa := syscall.AF_INET6, syscall.Sockaddr(nil)
	if v4 := ip.To4(); v4 != nil {
		family, sa = syscall.AF_INET, &syscall.SockaddrInet4{Addr: [4]byte(v4)}
	} else {
		sa = &syscall.SockaddrInet6{Addr: [16]byte(ip.To16())}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socket", err)
	}
	closing := sync.OnceFunc(func() { _ = syscall.Close(fd) })
	// SO_REUSEADDR on both sides is what lets the server bind a port that is bound here; net.Listen sets it too.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		closing()
		return 0, nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, sa); err != nil {
		closing()
		return 0, nil, os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		closing()
		return 0, nil, os.NewSyscallError("getsockname", err)
	}
	switch bound := bound.(type) {
	case *syscall.SockaddrInet4:
		return bound.Port, closing, nil
	case *syscall.SockaddrInet6:
		return bound.Port, closing, nil
	default:
		closing()
		return 0, nil, os.NewSyscallError("getsockname", syscall.EAFNOSUPPORT)
	}
}
