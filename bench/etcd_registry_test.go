package bench_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	fxregistry "github.com/fxkit/fxkit/fxetcd/registry"
)

// services is how many a process registers.
const services = 1000

// BenchmarkE8 is the registration of a thousand services, and their end: with package registry, which puts them under one lease, watches over
// their keys and deletes them at once, beside etcd's naming/endpoints as it is used, with a lease and a keepalive for each.
func BenchmarkE8(b *testing.B) {
	server := etcdtest.Start(b)
	c := etcdClient(b, server.Endpoints()...)
	b.Run("fxkit", func(b *testing.B) {
		for b.Loop() {
			r, err := fxregistry.New(c, fxregistry.Config{}, fxregistry.WithLogger(zap.NewNop()))
			if err != nil {
				b.Fatal(err)
			}
			inParallel(b, func(i int) error {
				_, err := r.Register(b.Context(), fxregistry.Instance{Service: fmt.Sprint("s", i), Address: "127.0.0.1:80"})
				return err
			})
			if err := r.Stop(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("naming", func(b *testing.B) {
		for b.Loop() {
			ctx, cancel := context.WithCancel(b.Context())
			leases := make([]clientv3.LeaseID, services)
			inParallel(b, func(i int) (err error) {
				leases[i], err = registerEndpoint(ctx, c, fmt.Sprint("n", i))
				return err
			})
			cancel()
			inParallel(b, func(i int) error {
				_, err := c.Revoke(b.Context(), leases[i])
				return err
			})
		}
	})
}

func registerEndpoint(ctx context.Context, c *clientv3.Client, service string) (clientv3.LeaseID, error) {
	granted, err := c.Grant(ctx, 30)
	if err != nil {
		return 0, err
	}
	alive, err := c.KeepAlive(ctx, granted.ID)
	if err != nil {
		return 0, err
	}
	go func() {
		for range alive { //nolint:revive // somebody has to take the answers
		}
	}()
	m, err := endpoints.NewManager(c, service)
	if err != nil {
		return 0, err
	}
	return granted.ID, m.AddEndpoint(ctx, service+"/a", endpoints.Endpoint{Addr: "127.0.0.1:80"}, clientv3.WithLease(granted.ID))
}

// inParallel calls fn for each service, from 32 goroutines.
func inParallel(b *testing.B, fn func(i int) error) {
	b.Helper()
	var working sync.WaitGroup
	next := make(chan int)
	for range 32 {
		working.Go(func() {
			for i := range next {
				if err := fn(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range services {
		next <- i
	}
	close(next)
	working.Wait()
}
