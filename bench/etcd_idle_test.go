package bench_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
	fxregistry "github.com/fxkit/fxkit/fxetcd/registry"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

// BenchmarkEtcdIdle is what a process costs that does nothing but keep 10 registrations, 5 watches and 2 elections: requests and messages
// to etcd, and CPU time of this process, per minute. It takes 20 s whatever b.N is; the server is another process.
func BenchmarkEtcdIdle(b *testing.B) {
	const idle = 20 * time.Second
	server := etcdtest.StartProcess(b)
	var sent atomic.Int64
	client, err := clientv3.New(clientv3.Config{
		Endpoints: server.Endpoints(), Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				sent.Add(1)
				return invoke(ctx, method, req, reply, cc, opts...)
			}),
			grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				stream, err := open(ctx, desc, cc, method, opts...)
				return countedStream{stream, &sent}, err
			}),
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup

	services, err := fxregistry.New(client, fxregistry.Config{}, fxregistry.WithLogger(zap.NewNop()))
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10 {
		if _, err := services.Register(ctx, fxregistry.Instance{Service: fmt.Sprintf("service-%d", i), Address: "127.0.0.1:1"}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 5 {
		synced := make(chan struct{})
		running.Go(func() {
			for event := range watch.Prefix(ctx, client, fmt.Sprintf("prefix-%d/", i)) {
				if event.Type == watch.Synced {
					close(synced)
				}
			}
		})
		<-synced
	}
	x, err := exclusive.New(client, exclusive.Config{}, exclusive.WithLogger(zap.NewNop()))
	if err != nil {
		b.Fatal(err)
	}
	for i := range 2 {
		leads := make(chan struct{})
		running.Go(func() {
			_ = x.Lead(ctx, fmt.Sprintf("job-%d", i), func(ctx context.Context, _ exclusive.Term) error {
				close(leads)
				<-ctx.Done()
				return nil
			})
		})
		<-leads
	}

	before, cpu := sent.Load(), cpuTime(b)
	<-time.After(idle)
	minutes := idle.Minutes()
	b.ReportMetric(float64(sent.Load()-before)/minutes, "requests/min")
	b.ReportMetric(float64((cpuTime(b)-cpu).Milliseconds())/minutes, "cpu-ms/min")
	b.ReportMetric(0, "ns/op")

	cancel()
	running.Wait()
	if err := services.Stop(b.Context()); err != nil {
		b.Error(err)
	}
}

type countedStream struct {
	grpc.ClientStream
	sent *atomic.Int64
}

func (s countedStream) SendMsg(m any) error {
	s.sent.Add(1)
	return s.ClientStream.SendMsg(m)
}
