package bench_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

// BenchmarkExclusiveLock is a lock that nobody else wants, beside the same with etcd's own package: a session and a mutex each time, which is
// what it takes there to have two locks of one process exclude each other.
func BenchmarkExclusiveLock(b *testing.B) {
	server := etcdtest.Start(b)
	client := etcdClient(b, server.Endpoints()...)
	b.Run("fxkit", func(b *testing.B) {
		x := newExclusive(b, client)
		for b.Loop() {
			if err := x.Lock(b.Context(), "job", func(context.Context, exclusive.Term) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("concurrency", func(b *testing.B) {
		for b.Loop() {
			session, err := concurrency.NewSession(client, concurrency.WithTTL(5))
			if err != nil {
				b.Fatal(err)
			}
			mutex := concurrency.NewMutex(session, "job")
			if err := mutex.Lock(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := mutex.Unlock(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := session.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkExclusiveNewLeader is the time from the end of one leader to the beginning of the next, TTL 5 s.
func BenchmarkExclusiveNewLeader(b *testing.B) {
	server := etcdtest.Start(b)
	b.Run("resigned", func(b *testing.B) {
		newLeader(b, server, func(_ *etcdtest.Proxy, stop context.CancelFunc) { stop() })
	})
	b.Run("killed", func(b *testing.B) { killedLeader(b, server) })
	b.Run("cut off", func(b *testing.B) { // for the others the same as killed: its lease must end
		newLeader(b, server, func(proxy *etcdtest.Proxy, _ context.CancelFunc) { proxy.Drop() })
	})
}

// leaderVariable holds the endpoint of a process that leads.
const leaderVariable = "FXKIT_BENCH_LEADER"

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(leaderVariable); endpoint != "" {
		leadUntilKilled(endpoint)
	}
	os.Exit(m.Run())
}

func leadUntilKilled(endpoint string) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	x, err := exclusive.New(client, exclusive.Config{TTL: 5 * time.Second})
	if err != nil {
		panic(err)
	}
	panic(x.Lead(context.Background(), "job", func(ctx context.Context, _ exclusive.Term) error {
		fmt.Println("leads")
		_, err := os.Stdin.Read(make([]byte, 1)) // which ends with the parent
		return err
	}))
}

// killedLeader ends a leader that is another process by kill -9.
func killedLeader(b *testing.B, server *etcdtest.Server) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	etcd := etcdClient(b, server.Endpoints()...)
	x := newExclusive(b, etcd)
	for b.Loop() {
		b.StopTimer()
		first := exec.Command(self)
		first.Env = append(os.Environ(), leaderVariable+"="+server.Endpoints()[0])
		output, err := first.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := first.StdinPipe(); err != nil {
			b.Fatal(err)
		}
		if err := first.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := output.Read(make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		began, next := make(chan struct{}), make(chan error, 1)
		go func() {
			next <- x.Lead(ctx, "job", func(ctx context.Context, _ exclusive.Term) error {
				close(began)
				<-ctx.Done()
				return nil
			})
		}()
		awaitQueue(b, etcd, 2)
		b.StartTimer()
		_ = first.Process.Kill()
		<-began
		b.StopTimer()
		_ = first.Wait() // it was killed
		stop()
		<-next
		b.StartTimer()
	}
}

// awaitQueue waits until so many stand in it, the leader included.
func awaitQueue(b *testing.B, etcd *clientv3.Client, n int64) {
	b.Helper()
	for {
		got, err := etcd.Get(b.Context(), "exclusive/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			b.Fatal(err)
		}
		if got.Count == n {
			return
		}
	}
}

func newLeader(b *testing.B, server *etcdtest.Server, end func(*etcdtest.Proxy, context.CancelFunc)) {
	etcd := etcdClient(b, server.Endpoints()...)
	for b.Loop() {
		b.StopTimer()
		began := make(chan string)
		lead := func(ctx context.Context, who, endpoint string) <-chan error {
			x := newExclusive(b, etcdClient(b, endpoint))
			done := make(chan error, 1)
			go func() {
				done <- x.Lead(ctx, "job", func(ctx context.Context, _ exclusive.Term) error {
					select {
					case began <- who:
					case <-ctx.Done():
					}
					<-ctx.Done()
					return nil
				})
			}()
			return done
		}
		proxy := etcdtest.StartProxy(b, server.Endpoints()[0])
		ctx, stop := context.WithCancel(b.Context())
		first := lead(ctx, "first", proxy.Endpoint())
		<-began
		nextCtx, stopNext := context.WithCancel(b.Context())
		next := lead(nextCtx, "next", server.Endpoints()[0])
		awaitQueue(b, etcd, 2)
		b.StartTimer()
		end(proxy, stop)
		for who := range began {
			if who == "next" {
				break
			}
		}
		b.StopTimer()
		stop()
		stopNext()
		proxy.Heal()
		<-first
		<-next
		b.StartTimer()
	}
}

func newExclusive(b *testing.B, client *clientv3.Client) *exclusive.Exclusive {
	b.Helper()
	x, err := exclusive.New(client, exclusive.Config{TTL: 5 * time.Second}, exclusive.WithLogger(zap.NewNop()))
	if err != nil {
		b.Fatal(err)
	}
	return x
}

func etcdClient(b *testing.B, endpoints ...string) *clientv3.Client {
	b.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	return client
}
