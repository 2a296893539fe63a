package bench_test

import (
	"context"
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
	b.Run("cut off", func(b *testing.B) { // for the others the same as killed: its lease must end
		newLeader(b, server, func(proxy *etcdtest.Proxy, _ context.CancelFunc) { proxy.Drop() })
	})
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
		for { // until it stands in the queue
			got, err := etcd.Get(b.Context(), "exclusive/", clientv3.WithPrefix(), clientv3.WithCountOnly())
			if err != nil {
				b.Fatal(err)
			}
			if got.Count == 2 {
				break
			}
		}
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
