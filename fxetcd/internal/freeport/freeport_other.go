//go:build !linux

package freeport

import "net"

func reserve(host string) (int, func(), error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, func() {}, l.Close()
}
