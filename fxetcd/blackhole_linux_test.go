package fxetcd_test

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd"
)

// full is an address whose kernel answers no attempt to connect: the queue of its listener is full.
func full(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Close(fd)) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	bound, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := fmt.Sprint("127.0.0.1:", bound.(*syscall.SockaddrInet4).Port)
	for {
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

func TestE3_a_host_that_drops_packets_is_told_from_one_that_refuses(t *testing.T) {
	t.Parallel()
	_, err := fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: []string{full(t)}, DialTimeout: 600 * time.Millisecond})
	require.ErrorContains(t, err, "no answer to the attempt to connect: the address is wrong, or something on the way drops packets")
}
