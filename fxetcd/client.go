package fxetcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/fxkit/fxkit/fxconfig"
)

// NewClient makes a client and reaches its servers, without Fx. It returns within cfg.DialTimeout (with RejectOldCluster, a fifth more at
// most), or when ctx ends; its error says why no server answered. With cfg.Startup Skip it reaches nobody, and returns at once. The client
// lives until its Close, ctx or not.
func NewClient(ctx context.Context, cfg Config, opts ...Option) (*clientv3.Client, error) {
	s := surroundings{logins: new(logins)}
	for _, o := range opts {
		if o != nil {
			o.apply(&s)
		}
	}
	if err := fxconfig.Validate(&cfg); err != nil { // with TLS's, as when a file is read
		return nil, fmt.Errorf("fxetcd: configuration: %w", oneLine{err})
	}
	if len(cfg.Endpoints) == 0 && s.source == nil {
		return nil, errors.New("fxetcd: configuration: no endpoints: set Endpoints, or pass WithEndpointSource")
	}
	i, err := s.create("", cfg)
	if err == nil {
		err = i.start(ctx)
	}
	if err != nil {
		if i != nil {
			_ = i.client.Close()
		}
		return nil, fmt.Errorf("fxetcd: connect: %w", err)
	}
	return i.client, nil
}

// instance is a client and what belongs to it.
type instance struct {
	client *clientv3.Client
	cfg    Config
	tls    *TLS // nil without
	source EndpointSource
	logins *logins
	leases *keptLeases
	log    *zap.Logger

	quiet   atomic.Bool // while startup asks, and reports what it finds itself
	syncing sync.WaitGroup
}

// placeholder is the endpoint of a client whose server is not there yet. Nobody listens on it; calls that are made before the start
// wait for the real one.
const placeholder = "127.0.0.1:0"

// create makes an instance. It does no I/O but to read the files that tls names.
func (s surroundings) create(name string, cfg Config) (*instance, error) {
	cfg.fillDefaults()
	i := &instance{cfg: cfg, tls: cfg.TLS, logins: s.logins}
	i.log = logger(s.log, name, &i.quiet)
	if len(cfg.Endpoints) == 0 {
		if s.source == nil {
			return nil, errors.New("no endpoints: set endpoints, or list embedded.Module for a server in this process")
		}
		if cfg.AutoSyncInterval > 0 {
			return nil, fxconfig.At("autoSyncInterval",
				errors.New("the endpoints are those of an EndpointSource, such as the embedded server, and not a cluster's to tell: remove it"))
		}
		i.source = s.source
	}
	parsed, err := parseEndpoints(cfg.Endpoints)
	if err != nil {
		return nil, err
	}
	if i.tls == nil && len(parsed) > 0 && parsed[0].scheme == "https" {
		i.tls = &TLS{}
	}
	if i.tls != nil {
		if err := i.tls.check(); err != nil {
			return nil, err
		}
	}
	if i.client, err = clientv3.New(i.clientConfig(s)); err != nil {
		return nil, err
	}
	i.equip()
	return i, nil
}

func (i *instance) clientConfig(s surroundings) clientv3.Config {
	cfg := i.cfg
	out := clientv3.Config{
		Endpoints:             cfg.Endpoints,
		DialTimeout:           cfg.DialTimeout,
		DialKeepAliveTime:     max(cfg.KeepAliveTime, 0),
		DialKeepAliveTimeout:  cfg.KeepAliveTimeout,
		MaxCallSendMsgSize:    int(cfg.MaxSendSize),
		MaxCallRecvMsgSize:    int(cfg.MaxReceiveSize),
		MaxUnaryRetries:       cfg.MaxUnaryRetries + 1, // etcd's client counts the first attempt too
		BackoffWaitBetween:    cfg.BackoffWaitBetween,
		BackoffJitterFraction: cfg.BackoffJitter,
		Token:                 cfg.Token.Reveal(),
		Logger:                i.log,
		DialOptions: append(s.telemetry(), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay:  cfg.ConnectBackoff.Base,
				Multiplier: backoff.DefaultConfig.Multiplier,
				Jitter:     backoff.DefaultConfig.Jitter,
				MaxDelay:   cfg.ConnectBackoff.Max,
			},
			MinConnectTimeout: cfg.ConnectBackoff.MinConnectTimeout,
		}), grpc.WithChainUnaryInterceptor(eachAttempt(*cfg.RequireLeader))),
	}
	if len(out.Endpoints) == 0 {
		out.Endpoints = []string{placeholder}
	}
	if i.tls != nil {
		out.DialOptions = append(out.DialOptions, grpc.WithTransportCredentials(transport{i.tls}))
	}
	if cfg.Username != "" {
		// With a user's name the client would authenticate at once, and without a server wait for ever. A token that
		// no server knows makes room for the real one, which the first call fetches.
		out.Token = "pending"
	}
	return out
}

// equip puts around the client what its own configuration has no place for. Nobody else has the client yet.
func (i *instance) equip() {
	c := i.client
	if i.cfg.Username != "" {
		c.Token, c.Username, c.Password = "", i.cfg.Username, i.cfg.Password.Reveal()
	}
	l := limits{timeout: i.cfg.RequestTimeout, dogs: new(watchdogs)}
	l.limit(c, i.cfg.DialTimeout+time.Second)
	auth := &sharedAuth{AuthClient: clientv3.RetryAuthClient(c), logins: i.logins, endpoints: strings.Join(i.cfg.Endpoints, ","), open: c.Ctx()}
	if i.tls != nil {
		auth.tls = *i.tls
	}
	c.Auth = clientv3.NewAuthFromAuthClient(&limitedAuth{auth, l}, c)
	c.Watcher = &watcher{c.Watcher, *i.cfg.RequireLeader}
	i.leases = &keptLeases{Lease: c.Lease, kept: map[clientv3.LeaseID]int{}}
	c.Lease = i.leases
	if ns := i.cfg.Namespace; ns != "" {
		c.KV = namespace.NewKV(c.KV, ns)
		c.Watcher = &namespacedWatcher{Watcher: namespace.NewWatcher(c.Watcher, ns), inner: c.Watcher}
		c.Lease = namespace.NewLease(c.Lease, ns)
	}
}

// start reaches the servers.
func (i *instance) start(ctx context.Context) error {
	if i.source != nil {
		endpoints := i.source.Endpoints()
		parsed, err := parseEndpoints(endpoints)
		switch {
		case err != nil:
			return fmt.Errorf("the EndpointSource's: %w", err)
		case len(parsed) == 0:
			return errors.New("the EndpointSource has no endpoints: is its server started before its clients?")
		case parsed[0].scheme == "https" && i.tls == nil:
			return fmt.Errorf("the EndpointSource's %s needs TLS: set tls, with the ca to trust", endpoints[0])
		}
		// A call that was made before may set up the connection this very moment, and etcd's resolver guards its endpoints with no lock. After
		// Connect that is done.
		i.client.ActiveConnection().Connect()
		i.client.SetEndpoints(textsOf(parsed)...)
	}
	if i.cfg.Startup != Skip {
		if err := i.probe(ctx); err != nil {
			return err
		}
	}
	if i.cfg.AutoSyncInterval > 0 {
		i.syncing.Go(i.sync)
	}
	return nil
}

// sync replaces the endpoints at each interval until the client is closed. etcd's own would begin before the credentials are set.
func (i *instance) sync() {
	ticker := time.NewTicker(i.cfg.AutoSyncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-i.client.Ctx().Done():
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(i.client.Ctx(), i.cfg.DialTimeout)
		if err := i.client.Sync(ctx); err != nil && i.client.Ctx().Err() == nil {
			i.log.Warn("the endpoints could not be brought up to date", zap.Error(err))
		}
		cancel()
	}
}

// revokeTimeout bounds the end of leases: a server that is away must not hold up the stop, and lets them expire anyway.
const revokeTimeout = time.Second

// destroy ends what hangs on the client, and then the client.
func (i *instance) destroy(ctx context.Context) error {
	revoking, cancel := context.WithTimeout(ctx, revokeTimeout)
	i.leases.revokeAll(revoking)
	cancel()
	err := i.client.Close()
	i.syncing.Wait()
	if errors.Is(err, context.Canceled) {
		return nil // somebody has closed it before
	}
	return err
}
