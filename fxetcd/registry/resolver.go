package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"
)

// Scheme is that of the targets that ResolverBuilder resolves: etcd:///<service>.
const Scheme = "etcd"

// firstListWithin is how long calls wait for the first list of a service. Then they fail, until it comes.
const firstListWithin = time.Second

// roundRobin is the service config of each connection: gRPC's own default is to use only the first address. A resolver cannot see whether the
// connection was given another one, and its own counts unless the connection takes none from resolvers.
const roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// ResolverBuilder makes gRPC connections to a service, balanced round robin:
//
//	grpc.NewClient("etcd:///order", grpc.WithResolvers(registry.ResolverBuilder()), …)
//
// A connection follows the list of instances for as long as both live. While etcd is away it keeps the last known ones. If there is no
// instance, or no list within a second of the connection's first use, calls fail at once as Unavailable, and those that wait for ready wait.
//
// Round robin comes as a service config, which counts more than grpc.WithDefaultServiceConfig. For another balancer, or anything else in
// a service config, add grpc.WithDisableServiceConfig() to that option.
func (r *Registry) ResolverBuilder() resolver.Builder { return builder{r} }

type builder struct{ registry *Registry }

func (b builder) Scheme() string { return Scheme }

// Build does not wait for anything.
func (b builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	service := target.Endpoint()
	err := checkName("service", service)
	if host := target.URL.Host; host != "" {
		err = fmt.Errorf("there is a host, %q, but the registry's client knows where etcd is", host)
	}
	if err != nil {
		return nil, fmt.Errorf("registry: resolve %q: %w; want etcd:///<service>", target.URL.String(), err)
	}
	if _, err := b.registry.service(service); err != nil {
		return nil, fmt.Errorf("registry: resolve %q: %w", target.URL.String(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{cc: cc, service: service, cancel: cancel}
	l.work.Go(func() { l.follow(ctx, b.registry) })
	return l, nil
}

// link is one connection's resolver.
type link struct {
	cc      resolver.ClientConn
	service string
	cancel  context.CancelFunc
	work    sync.WaitGroup

	mu     sync.Mutex
	listed bool
}

func (l *link) follow(ctx context.Context, r *Registry) {
	late := time.AfterFunc(firstListWithin, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.listed && ctx.Err() == nil {
			l.cc.ReportError(fmt.Errorf("registry: resolve %q: there is no list of instances yet, for etcd does not answer", l.service))
		}
	})
	defer late.Stop()
	config := l.cc.ParseServiceConfig(roundRobin)
	for instances, err := range r.Watch(ctx, l.service) {
		if err != nil {
			l.report(err)
			continue
		}
		state := resolver.State{ServiceConfig: config}
		for _, in := range instances {
			state.Endpoints = append(state.Endpoints, resolver.Endpoint{
				Addresses:  []resolver.Address{{Addr: in.Address}},
				Attributes: attributes.New(instanceKey{}, instanceAttribute{in}),
			})
		}
		l.update(state)
	}
}

func (l *link) update(state resolver.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = true
	_ = l.cc.UpdateState(state) // the error asks to be resolved again, but there is nothing newer
}

func (l *link) report(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.listed || errors.Is(err, ErrStopped) {
		l.cc.ReportError(err)
	}
}

// ResolveNow does nothing: the list is always the latest.
func (l *link) ResolveNow(resolver.ResolveNowOptions) {}

func (l *link) Close() {
	l.cancel()
	l.work.Wait()
}

type instanceKey struct{}

type instanceAttribute struct{ in Instance }

// Equal lets gRPC see whether an endpoint has changed.
func (a instanceAttribute) Equal(other any) bool {
	b, ok := other.(instanceAttribute)
	return ok && a.in.same(b.in)
}

// InstanceOf is the instance behind an endpoint, for a gRPC balancer of one's own.
func InstanceOf(e resolver.Endpoint) (Instance, bool) {
	a, ok := e.Attributes.Value(instanceKey{}).(instanceAttribute)
	return a.in, ok
}
