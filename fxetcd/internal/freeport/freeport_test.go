package freeport_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/fxetcd/internal/freeport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// E7: free ports without a race.
func TestE7_a_reserved_port_can_be_listened_on_and_goes_to_nobody_else(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("a port can be held without listening only on Linux")
	}
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			given := map[string]bool{}
			for range 200 {
				r, err := freeport.Reserve(host)
				require.NoError(t, err)
				defer r.Release()
				_, port, err := net.SplitHostPort(r.Address())
				require.NoError(t, err)
				assert.False(t, given[port], "port %s was given twice", port)
				given[port] = true
			}
			for range 500 {
				l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
				require.NoError(t, err)
				defer func() { _ = l.Close() }()
				_, port, err := net.SplitHostPort(l.Addr().String())
				require.NoError(t, err)
				assert.False(t, given[port], "a listener that asked for any port was given the reserved %s", port)
			}
			r, err := freeport.Reserve(host)
			require.NoError(t, err)
			l, err := net.Listen("tcp", r.Address())
			require.NoError(t, err, "who names the port can listen on it while it is reserved")
			r.Release()
			r.Release()
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			assert.NoError(t, c.Close())
			assert.NoError(t, l.Close())
		})
	}
}

func TestE7_an_unknown_host_has_no_ports(t *testing.T) {
	t.Parallel()
	_, err := freeport.Reserve("192.0.2.1")
	assert.ErrorContains(t, err, "reserve a free port of 192.0.2.1")
}
