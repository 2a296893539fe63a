// Package registry registers services in etcd, for as long as their process lives, and finds them.
//
// With Fx, the instances in the configuration are listed when the application is ready, and leave the list before anything stops:
//
//	etcd:
//	  registry:
//	    namespace: services     # where the keys are: services/<service>/<id>
//	    ttl: 30s                # how long a crashed process stays listed
//	    drainDelay: 3s          # how long a stop waits after it has left the list; default: not at all
//	    services:
//	      - {name: flagd, address: "10.0.0.7:8080", metadata: {zone: a}}
//
//	fx.New(
//		fxlifecycle.Coordinate(),
//		fxconfig.Module,
//		fxetcd.Module,
//		registry.Module,
//		fx.Invoke(serve),
//	).Run()
//
// Without Fx, [New] makes a Registry of any client:
//
//	r, err := registry.New(client, registry.Config{})
//	if err != nil {
//		return err
//	}
//	defer func() { err = errors.Join(err, r.Stop(ctx)) }() // off the list first
//	g, err := r.Register(ctx, registry.Instance{Service: "order", Address: "10.0.0.7:8080"})
//	if err != nil {
//		return err
//	}
//	all, err := r.Instances(ctx, "order")
//	if err != nil {
//		return err
//	}
//	one, err := r.Pick(ctx, "order", registry.RoundRobin)
//
// Callers of gRPC services need none of these, but a resolver:
//
//	cc, err := grpc.NewClient("etcd:///order", grpc.WithResolvers(r.ResolverBuilder()), credentials)
//
// # Being registered
//
// All keys of a process are under one lease (one for each TTL, if instances have their own), which a stream keeps. What takes a key away, the
// registry puts it back: a lease that expired or was revoked, a key deleted or overwritten by hand, a server that lost its data, a partition of any length.
// It is back within two seconds of the cluster's return, and never gives up: once something was registered, the client looks for an etcd that is away
// every second, even if its connectBackoff is longer. [Registration.State] tells the truth meanwhile:
//
//	Pending        not listed, or nothing proves that it is; being retried. Registration.Err says why
//	Online         listed
//	Offline        not listed, as was asked for
//	Deregistered   not listed, and over
//
// Alert on Pending for longer than the TTL: callers do not see the instance then.
//
// The TTL is how long a crashed process is still listed. A busy etcd or a garbage collection can take a second: below five seconds
// instances may vanish that live, and ten to thirty are usual. A stop does not wait for it.
//
// An id belongs to the process that has registered it last: after a restart the new process takes over at once, and one that lost its id to
// another waits, with [ErrTaken], until that has gone. The default id is the address.
//
// With authentication, the process's role needs to read and write the keys of its services: readwrite, for the prefix services/<service>/. With a role
// for single keys instances are registered too, but not watched: one that is deleted by hand stays away. The log says so.
//
// # Finding
//
// The first question about a service starts a watch of its keys, which all later ones share; see package watch for what it survives. It lasts
// until Stop, also for a service that does not exist: do not ask for names that strangers make up. While
// etcd is away, the answer is the last known list: callers should rather try instances that were there a minute ago than fail. [Registry.Stale] and the
// log say so. A value that is no instance is skipped, with a line in the log.
//
// Keys and values are those of etcd's own naming/endpoints, so both find each other's.
//
// # Stopping
//
// With fxlifecycle.Coordinate, a stop begins with the registry: all instances leave the list in one request, and the drainDelay
// passes while everything still serves, so that callers, who learn of it by their watches, have turned to others. In a plain Fx application
// the registry's turn comes in the reverse order of construction, after what depends on it and before the client.
package registry
