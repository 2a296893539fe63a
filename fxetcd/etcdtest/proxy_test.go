package etcdtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/internal/freeport"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// hears sends a word and tells what came back within the time given.
func hears(t *testing.T, c net.Conn, word string, within time.Duration) (string, error) {
	t.Helper()
	_, err := c.Write([]byte(word))
	require.NoError(t, err)
	return read(t, c, len(word), within)
}

func read(t *testing.T, c net.Conn, n int, within time.Duration) (string, error) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(within)))
	heard := make([]byte, n)
	n, err := io.ReadFull(c, heard)
	return string(heard[:n]), err
}

const plenty = 10 * time.Second

func TestE12_a_proxy_forwards(t *testing.T) {
	t.Parallel()
	c := dial(t, etcdtest.StartProxy(t, echo(t)).Endpoint())
	heard, err := hears(t, c, "hello", plenty)
	require.NoError(t, err)
	assert.Equal(t, "hello", heard)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	_, err = read(t, c, 1, plenty)
	assert.ErrorIs(t, err, io.EOF, "the end of one direction arrives, and its answer too")
}

func TestE12_a_proxy_that_drops_holds_back_every_byte_until_it_heals(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProxy(t, echo(t))
	old := dial(t, p.Endpoint())
	_, err := hears(t, old, "before", plenty)
	require.NoError(t, err)

	p.Drop()
	p.Drop()
	_, err = hears(t, old, "during", 30*time.Millisecond)
	require.ErrorIs(t, err, errTimeout(err))
	fresh := dial(t, p.Endpoint())
	_, err = hears(t, fresh, "fresh", 30*time.Millisecond)
	require.ErrorIs(t, err, errTimeout(err), "a new connection is accepted, and silent")

	p.Heal()
	heard, err := read(t, old, 6, plenty)
	require.NoError(t, err)
	assert.Equal(t, "during", heard, "nothing was lost")
	heard, err = read(t, fresh, 5, plenty)
	require.NoError(t, err)
	assert.Equal(t, "fresh", heard)
}

// errTimeout is err, if it is a timeout; otherwise an error that err is not.
func errTimeout(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return errors.New("a timeout")
}

func TestE12_a_proxy_delays_both_directions_and_keeps_the_order(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProxy(t, echo(t))
	c := dial(t, p.Endpoint())
	p.Delay(40 * time.Millisecond)
	began := time.Now()
	heard, err := hears(t, c, "abc", plenty)
	require.NoError(t, err)
	assert.Equal(t, "abc", heard)
	assert.GreaterOrEqual(t, time.Since(began), 80*time.Millisecond)

	p.Heal()
	heard, err = hears(t, c, "def", plenty)
	require.NoError(t, err)
	assert.Equal(t, "def", heard)
}

func TestE12_a_proxy_resets_what_is_open_and_lets_new_connections_pass(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProxy(t, echo(t))
	c := dial(t, p.Endpoint())
	_, err := hears(t, c, "before", plenty)
	require.NoError(t, err)
	p.Reset()
	_, err = read(t, c, 1, plenty)
	require.ErrorIs(t, err, syscall.ECONNRESET)

	_, err = hears(t, dial(t, p.Endpoint()), "after", plenty)
	assert.NoError(t, err)
}

func TestE12_a_proxy_resets_the_client_if_nobody_is_behind_it(t *testing.T) {
	t.Parallel()
	nobody, err := freeport.Reserve("127.0.0.1")
	require.NoError(t, err)
	defer nobody.Release()
	c, err := net.Dial("tcp", etcdtest.StartProxy(t, nobody.Address()).Endpoint())
	if err == nil { // the reset may come before Dial returns, or after
		defer func() { _ = c.Close() }()
		_, err = read(t, c, 1, plenty)
	}
	assert.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestE12_a_client_gets_over_a_black_hole_and_a_reset(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	p := etcdtest.StartProxy(t, s.Endpoints()[0])
	c := etcdtest.Client(t, p.Endpoint())
	_, err := c.Put(t.Context(), "k", "v")
	require.NoError(t, err)

	p.Drop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Get(ctx, "k")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	p.Heal()
	_, err = c.Get(t.Context(), "k")
	require.NoError(t, err)

	p.Reset()
	_, err = c.Get(t.Context(), "k")
	require.NoError(t, err, "reads are tried again")
}
