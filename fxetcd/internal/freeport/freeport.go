// Package freeport finds TCP ports for servers that insist on knowing their address before they listen.
package freeport

import (
	"fmt"
	"net"
	"strconv"
)

// A Reservation is a port of one host that nobody else is given until Release.
type Reservation struct {
	host    string
	port    int
	release func()
}

// Reserve takes a free port of host, an IP address or "localhost". Where the platform allows it (Linux),
// the port stays bound, without listening: no automatic choice of the kernel's returns it, for listeners or
// for outgoing connections, while a server that names it can still listen on it. Hence no race between choosing
// a port and using it. Elsewhere the port was free a moment ago, which is the best that can be had.
func Reserve(host string) (*Reservation, error) {
	port, release, err := reserve(host)
	if err != nil {
		return nil, fmt.Errorf("reserve a free port of %s: %w", host, err)
	}
	return &Reservation{host: host, port: port, release: release}, nil
}

// Address is "host:port".
func (r *Reservation) Address() string { return net.JoinHostPort(r.host, strconv.Itoa(r.port)) }

// Release gives the port up. A server that listens on it keeps it. Release may be called again.
func (r *Reservation) Release() { r.release() }
