package etcdtest_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// swallow is a port of 127.0.0.1 at which a connection is neither accepted nor refused, for the queue of those to accept is full.
func swallow(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	port := name.(*syscall.SockaddrInet4).Port
	dial(t, fmt.Sprint("127.0.0.1:", port)) // takes the only place
	return port
}

// dialing tells whether somebody waits for a connection to a port, which the system knows as state 2, SYN_SENT.
func dialing(t *testing.T, port int) bool {
	t.Helper()
	connections, err := os.ReadFile("/proc/net/tcp")
	require.NoError(t, err)
	return strings.Contains(string(connections), fmt.Sprintf(" 0100007F:%04X 02 ", port))
}

func TestE12_a_proxy_ends_although_its_target_answers_no_connection(t *testing.T) {
	t.Parallel()
	port := swallow(t)
	var began time.Time
	t.Run("until its test ends", func(t *testing.T) {
		p := etcdtest.StartProxy(t, fmt.Sprint("127.0.0.1:", port))
		c, err := net.Dial("tcp", p.Endpoint())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		require.Eventually(t, func() bool { return dialing(t, port) }, plenty, time.Millisecond)
		began = time.Now()
	})
	assert.Less(t, time.Since(began), 5*time.Second, "the system gives up after minutes")
	assert.False(t, dialing(t, port))
}
