package etcdtest

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fxkit/fxkit/fxetcd/embedded"
)

// Cluster is several etcd servers in this process that are members of one cluster. Members are numbered from 0. Its methods may
// be called from any goroutine.
type Cluster struct {
	tb testing.TB

	mu      sync.Mutex
	members []*member
}

type member struct {
	name    string
	dir     string
	client  string // host:port
	peer    string // host:port
	link    *Proxy // by which the other members reach it
	cut     bool
	id      types.ID // the same for every start; 0 before the first
	running *embedded.Server
	joining *joining
}

// joining is a start that waits for a quorum which is not there yet.
type joining struct {
	cancel context.CancelFunc
	done   chan struct{}
	server *embedded.Server
	err    error
}

// StartCluster runs a cluster of n members, on temporary folders and free ports. It is ready when StartCluster returns, and gone when the test ends.
func StartCluster(tb testing.TB, n int) *Cluster {
	tb.Helper()
	if n < 1 {
		tb.Fatalf("etcdtest: a cluster of %d members: at least 1", n)
	}
	c := &Cluster{tb: tb}
	for i := range n {
		m := &member{
			name: fmt.Sprint("member-", i), dir: tb.TempDir(),
			client: reserve(tb).Address(), peer: reserve(tb).Address(),
		}
		// Members leave connections to each other behind when they stop, for up to five seconds. The proxy ends them.
		m.link = StartProxy(tb, "http://"+m.peer)
		c.members = append(c.members, m)
	}
	tb.Cleanup(c.stopAll)
	for i := range n {
		c.begin(i)
	}
	for i := range n {
		if err := c.await(i); err != nil {
			tb.Fatalf("etcdtest: start member %d of %d: %v", i, n, err)
		}
	}
	return c
}

// Endpoints is where clients reach the members. They stay the same for the life of the Cluster.
func (c *Cluster) Endpoints() []string {
	endpoints := make([]string, len(c.members))
	for i, m := range c.members {
		endpoints[i] = m.client
	}
	return endpoints
}

// Client is a plain client of the members given, or of all, that is closed when the test ends.
func (c *Cluster) Client(tb testing.TB, members ...int) *clientv3.Client {
	tb.Helper()
	endpoints := c.Endpoints()
	if len(members) > 0 {
		endpoints = nil
		for _, i := range members {
			endpoints = append(endpoints, c.members[i].client)
		}
	}
	return Client(tb, endpoints...)
}

// Leader is the member that leads, or -1 while those that run and are not partitioned away do not all agree on one of them.
func (c *Cluster) Leader() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var agreed types.ID
	for _, m := range c.members {
		if m.running == nil || m.cut {
			continue
		}
		leader := m.running.Etcd().Server.Leader()
		if leader == 0 || agreed != 0 && leader != agreed {
			return -1
		}
		agreed = leader
	}
	return slices.IndexFunc(c.members, func(m *member) bool { return m.running != nil && !m.cut && m.id == agreed })
}

// Stop stops member i as a failing machine would: at once, and without handing leadership over. A stopped member's Stop does nothing.
func (c *Cluster) Stop(i int) {
	c.tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop(c.members[i])
}

// Restart stops member i, if it runs, and starts it with the same data at the same addresses. The member is ready when Restart
// returns; partitioned away, or without a quorum that it could join, it becomes ready when it can.
func (c *Cluster) Restart(i int) {
	c.tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop(c.members[i])
	c.begin(i)
	if !c.quorum() || c.members[i].cut {
		return
	}
	if err := c.await(i); err != nil {
		c.tb.Errorf("etcdtest: restart member %d: %v", i, err)
	}
	c.separate()
}

// Partition cuts the network between member i and the other members. Clients still reach all of them. A partition outlasts stops and
// restarts, and may begin while the member is stopped. It is kept up by the members that run: two that are both starting
// still reach each other.
func (c *Cluster) Partition(i int) { c.setCut(i, true) }

// Heal ends member i's partition. A member that was restarted meanwhile becomes ready now, if there is a quorum.
func (c *Cluster) Heal(i int) { c.setCut(i, false) }

func (c *Cluster) setCut(i int, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[i].cut = cut
	c.separate()
}

// separate brings every pair of members into the state it should be in, as far as those that run decide it: one that was restarted
// knows of no cut. The other of a pair need not run: it may be on its way, and a member remembers its cuts.
func (c *Cluster) separate() {
	for _, m := range c.members {
		c.settle(m)
	}
	for i, a := range c.members {
		for j, b := range c.members {
			if i == j || a.running == nil {
				continue
			}
			if from := a.running.Etcd().Server; a.cut || b.cut {
				from.CutPeer(b.id)
			} else {
				from.MendPeer(b.id)
			}
		}
	}
}

// quorum tells whether the members that run, or are about to, and reach each other can elect a leader.
func (c *Cluster) quorum() bool {
	present := 0
	for _, m := range c.members {
		if (m.running != nil || m.joining != nil) && !m.cut {
			present++
		}
	}
	return present > len(c.members)/2
}

// begin starts member i without waiting for it.
func (c *Cluster) begin(i int) {
	m := c.members[i]
	ctx, cancel := context.WithCancel(context.Background())
	j := &joining{cancel: cancel, done: make(chan struct{})}
	m.joining = j
	m.link.refuse(true) // until it is announced
	cluster := c.initialCluster()
	go func() {
		defer close(j.done)
		j.server, j.err = embedded.Start(ctx, embedded.Config{Dir: m.dir, Listen: m.client},
			embedded.WithLogger(m.announcing()), embedded.Configure(func(cfg *embed.Config) { m.configure(cfg, cluster) }))
	}()
}

// await waits until member i, which has begun, is ready.
func (c *Cluster) await(i int) error {
	m := c.members[i]
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-m.joining.done:
	case <-timeout.C:
		m.joining.cancel()
		<-m.joining.done
	}
	return c.settle(m)
}

// settle takes over the server of a member whose start has ended.
func (c *Cluster) settle(m *member) error {
	if m.joining == nil {
		return nil
	}
	select {
	case <-m.joining.done:
	default:
		return nil
	}
	m.joining.cancel()
	server, err := m.joining.server, m.joining.err
	m.running, m.joining = server, nil
	if err == nil {
		m.id = server.Etcd().Server.MemberID()
	}
	return err
}

func (c *Cluster) stop(m *member) {
	if m.joining != nil {
		m.joining.cancel()
		<-m.joining.done
		_ = c.settle(m)
	}
	if m.running == nil {
		return
	}
	m.link.refuse(true)
	m.running.Etcd().Server.HardStop()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := m.running.Stop(ctx); err != nil {
		c.tb.Errorf("etcdtest: %s: %v", m.name, err)
	}
	m.running = nil
}

// stopAll stops the members together: one after the other, each would wait for those that are gone.
func (c *Cluster) stopAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all sync.WaitGroup
	for _, m := range c.members {
		all.Go(func() { c.stop(m) })
	}
	all.Wait()
}

func (c *Cluster) initialCluster() string {
	all := make([]string, len(c.members))
	for i, m := range c.members {
		all[i] = m.name + "=" + m.link.Endpoint()
	}
	return strings.Join(all, ",")
}

func (m *member) configure(cfg *embed.Config, cluster string) {
	settings{}.configure(cfg)
	// Wide enough for three members that share busy cores with other tests: a lost election looks like a fault of the test's.
	cfg.TickMs, cfg.ElectionMs = 20, 200
	cfg.Name = m.name
	cfg.InitialCluster = cluster
	cfg.ListenPeerUrls = []url.URL{{Scheme: "http", Host: m.peer}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: strings.TrimPrefix(m.link.Endpoint(), "http://")}}
}

// announcing is a logger that opens the link to the member when it serves its peers. Before it does, etcd has the port accept
// connections that nobody answers, and each member of a new cluster waits a second for the others; refused, it goes on at once.
func (m *member) announcing() *zap.Logger {
	open := time.AfterFunc(time.Second, func() { m.link.refuse(false) })
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zap.InfoLevel),
		zap.Hooks(func(e zapcore.Entry) error {
			if e.Message == "serving peer traffic" && open.Stop() {
				m.link.refuse(false)
			}
			return nil
		}))
}
