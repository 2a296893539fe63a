package etcdtest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP connection's middle: it forwards bytes between clients and a server, until told to do worse. Its methods may be
// called from any goroutine.
type Proxy struct {
	scheme   string
	target   string
	listener *net.TCPListener

	mu      sync.Mutex
	gate    chan struct{} // closed while bytes pass
	delay   time.Duration
	links   map[*link]bool
	refused bool

	running sync.WaitGroup
}

// StartProxy listens on a free port of 127.0.0.1 and forwards to target, an endpoint such as Server.Endpoints gives. It ends with the test.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatalf("etcdtest: start a proxy: %v", err)
	}
	p := &Proxy{listener: l, target: target, gate: make(chan struct{}), links: map[*link]bool{}}
	if scheme, address, ok := strings.Cut(target, "://"); ok {
		p.scheme, p.target = scheme+"://", address
	}
	close(p.gate)
	p.running.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Endpoint is where clients reach the server through the proxy. It has the target's scheme.
func (p *Proxy) Endpoint() string { return p.scheme + p.listener.Addr().String() }

// Drop makes a black hole of the proxy: connections stay open and new ones are accepted, but not a byte arrives, in either
// direction. As with a real network, what was under way arrives after Heal, if the connection is still there.
func (p *Proxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gate:
		p.gate = make(chan struct{})
	default:
	}
}

// Delay makes every byte arrive later by d, in both directions. Bandwidth stays.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Reset breaks every open connection with a TCP reset, on both sides. New connections pass.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// Heal ends Drop and Delay.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = 0
	select {
	case <-p.gate:
	default:
		close(p.gate)
	}
}

func (p *Proxy) state() (gate <-chan struct{}, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate, p.delay
}

// refuse resets every connection, those to come too.
func (p *Proxy) refuse(on bool) {
	p.mu.Lock()
	p.refused = on
	p.mu.Unlock()
	if on {
		p.Reset()
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.refuse(true)
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		l := &link{proxy: p, client: c}
		l.ctx, l.end = context.WithCancel(context.Background())
		p.mu.Lock()
		if p.refused {
			l.reset()
		}
		p.links[l] = true
		p.mu.Unlock()
		p.running.Go(l.run)
	}
}

// link is one client's connection and, once bytes may pass, the one to the server that belongs to it.
type link struct {
	proxy  *Proxy
	client *net.TCPConn

	ctx context.Context // ends when the link is broken
	end context.CancelFunc

	mu     sync.Mutex
	server *net.TCPConn
}

func (l *link) run() {
	defer func() {
		l.reset()
		l.proxy.mu.Lock()
		delete(l.proxy.links, l)
		l.proxy.mu.Unlock()
	}()
	if !l.pass(time.Time{}) {
		return
	}
	c, err := new(net.Dialer).DialContext(l.ctx, "tcp", l.proxy.target)
	if err != nil {
		return
	}
	server := c.(*net.TCPConn)
	l.mu.Lock()
	l.server = server
	l.mu.Unlock()
	if l.ctx.Err() != nil { // reset before it knew of the server's side
		_ = server.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.pump(server, l.client) })
	both.Go(func() { l.pump(l.client, server) })
	both.Wait()
}

// packet is what arrived, and when it may go on.
type packet struct {
	bytes []byte
	due   time.Time
}

// pump forwards one direction. Reading and writing are apart, so that a delay adds latency without taking bandwidth.
func (l *link) pump(to, from *net.TCPConn) {
	packets := make(chan packet, 64)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(packets)
		for l.pass(time.Time{}) {
			buffer := make([]byte, 16<<10)
			n, err := from.Read(buffer)
			if n > 0 {
				_, delay := l.proxy.state()
				select {
				case packets <- packet{buffer[:n], time.Now().Add(delay)}:
				case <-l.ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	for p := range packets {
		if !l.pass(p.due) {
			break
		}
		if _, err := to.Write(p.bytes); err != nil {
			l.reset()
			break
		}
	}
	// The end of one direction is passed on as such; the other may still have something to say.
	if l.pass(time.Time{}) {
		_ = to.CloseWrite()
	}
	reading.Wait()
}

// pass waits until it is due and the proxy lets bytes pass. It is false once the link is broken.
func (l *link) pass(due time.Time) bool {
	if wait := time.Until(due); !due.IsZero() && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			return false
		}
	}
	for {
		gate, _ := l.proxy.state()
		select {
		case <-l.ctx.Done():
			return false
		case <-gate:
		}
		// It may have been closed again while we waited for it.
		if again, _ := l.proxy.state(); again == gate {
			return true
		}
	}
}

// reset closes both sides without the handshake that would let the peer think that all was said.
func (l *link) reset() {
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range []*net.TCPConn{l.client, l.server} {
		if c != nil {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	}
}
