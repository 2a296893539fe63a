// Package fxetcd provides named clients of etcd: *clientv3.Client as they are, made from configuration that explains itself, reached
// at startup, observed, and closed in order.
//
//	fx.New(
//		fxlifecycle.Coordinate(),
//		fxconfig.Module,
//		fxetcd.Module,
//		fxetcd.Named("audit"),
//		fx.Provide(NewLedger), // func NewLedger(kv *clientv3.Client) *Ledger
//	)
//
// [Module] provides the default instance as *clientv3.Client and all of them in a [Factory], whose rules are those of package fxfactory:
// defaults, priorities, instances made and replaced at run time. [Named] provides single ones under name:"<name>". Without
// configuration there is one client, at 127.0.0.1:2379. Listed beside embedded.Module it is at that server. [NewClient] makes one without Fx.
//
// # The section
//
//	etcd:
//	  default:                     # merged under every instance
//	    dialTimeout: 5s            # how long startup waits
//	    requestTimeout: 5s         # of calls whose context has no deadline; negative: none
//	    keepAliveTime: 10s         # a silent connection is asked after this long; negative: never
//	    keepAliveTimeout: 3s       # and dropped after this much longer
//	    connectBackoff: {base: 100ms, max: 3s, minConnectTimeout: 3s}
//	    requireLeader: true        # a member without a leader refuses, rather than wait
//	    startup: probe             # skip: start without the servers
//	  client: {endpoints: [127.0.0.1:2379]}
//	  clients:
//	    audit:
//	      endpoints: https://a:2379, https://b:2379   # or hosts, or host; a list or a text
//	      namespace: audit/
//	      username: app
//	      password: ${ETCD_PASSWORD}
//	      tls: {ca: ca.pem, cert: c.pem, key: k.pem, serverName: etcd.internal, minVersion: "1.3"}
//	  clientPriority: {audit: Low}
//
// [Config] documents each key; those not shown are maxSendSize, maxReceiveSize, autoSyncInterval, rejectOldCluster, maxUnaryRetries,
// backoffWaitBetween, backoffJitter and token. The names endpoints, hosts and host are one key: an instance's host replaces the default's
// endpoints, and a later file's those of an earlier one; two in one mapping are an error.
//
// An instance without endpoints is at the EndpointSource's. Where there is no such source, one that is configured must have endpoints:
// client: {dialTimeout: 2s} alone is an error, since a client that forgot its servers must not end up at another's. The client at 127.0.0.1:2379 is
// for a section that configures no instance, neither client nor clients; default: {dialTimeout: 2s} alone applies to it.
//
// etcd's own client accepts any text as an endpoint, and then waits for it for ever. Here
// what cannot work is an error of fx.New, with its place in the file and the reason:
//
//	config.yaml:5:7: etcd.clients.audit.username: a username without a password: the client would go unauthenticated
//
// # What differs from a client of clientv3.New
//
// No call waits for ever: where the caller brings no deadline there is requestTimeout, for all but those that last: Watch, RequestProgress,
// KeepAlive, GetStream, both Snapshots and Defragment. It spans etcd's own repetitions. Where there was no connection, the error of a
// deadline says why there was none, and errors.Is finds context.DeadlineExceeded in it. A call on a client that is closed, or is being closed,
// ends at once, where etcd's own would repeat it for seconds; its error says so, and its status code is Canceled.
//
// Nothing is done in fx.New but to read the configuration and the files that tls names. Credentials are shown at the first call. A login costs
// the server a twentieth of a second of computing: instances that log in at the same time as the same user of the same servers share one.
// Certificates, keys and authorities are read again for each connection: replace the files, and new connections use them.
// The name in a server's certificate is checked against serverName, which etcd's client ignores.
//
// A namespace applies to KV, Watch and Lease and to all that is built on them: sessions, locks, elections. Cluster, Auth and
// Maintenance have none.
//
// # Startup
//
// In OnStart each instance of priority High and Medium must answer a linearizable read within dialTimeout; one endpoint of several is
// enough. One that comes late is found, up to the end of dialTimeout: until then startup tries to connect five times a second, whatever
// connectBackoff says, and waits for a cluster to elect its leader. The instances are asked 128 at once, so that with a hundred away startup
// fails after one dialTimeout; a start that is given less time fails a little before its end. The error names each, and says of each endpoint
// what stands in the way. What a server said itself stands behind the endpoints of the instance, one of which it is:
//
//	nothing listens there                      the address is wrong, or the server is down
//	unknown host                               the name does not exist, or cannot be found out now
//	no answer to the attempt to connect        a firewall, or a wrong address
//	it accepts connections, but says nothing   the server hangs, or something drops packets
//	its certificate is not trusted             tls.ca is not the one that signed it
//	name mismatch                              set tls.serverName, if it is the right server
//	its certificate has expired                renew it; the server reads the files again
//	client certificate required                set tls.cert and tls.key
//	it does not speak TLS                      remove tls and https://
//	it speaks TLS, but not etcd's protocol     another server, or something on the way that knows no HTTP/2
//	if it expects TLS, write https://          the opposite
//	wrong user or password                     told by the server; startup does not wait for more
//	the server is too old                      with rejectOldCluster
//	the server has lost its cluster's leader   a quorum is missing: look at the members
//	reached, but it did not answer             overload; with requireLeader: false, perhaps a cluster without a leader
//
// An instance of priority Low does not hold up the start: it is left out, and tried again until it is there. With startup: skip an instance
// is not asked at all, and its calls wait, each within its deadline.
//
// # Stop
//
// Clients are closed after everything that depends on them. First every lease that the client still keeps alive is revoked, for at
// most a second, so that locks and registrations that somebody left open are free at once; a lease that nobody kept alive was meant
// to last, and does. Then watches end, and the connections. An embedded server stops after all of its clients.
//
// # Operating it
//
// Set endpoints to all the members, in one scheme. Leave requestTimeout below 7s: a server without a leader answers after that long, and
// etcd's client repeats a write that failed so, unasked. Keep keepAliveTime at 10s: servers close connections that ask
// more often. Set dialTimeout no longer than the shortest TTL you use, since a lease's first keepalive is waited for as
// long. Give a process that must start without etcd startup: skip or priority Low, and never restart one because etcd is away.
//
// Alert on what Factory.Check says ([fxfactory.Health]): it reads as a reader would, so a member that cannot reach the others is not healthy,
// and one that denies the permission is. The states are:
//
//	healthy                                  a linearizable read was answered, or refused
//	no etcd server answered within …         with the reason for each endpoint, as at startup
//	the server has lost its cluster's leader a quorum is missing; requireLeader tells at once
//	wrong user or password                   the password was changed; calls fail in the same way
//	the client is closed                     somebody has called its Close
//
// A server that is away writes at most three lines a minute for each instance and message, with the instance's name; the next line tells how
// many were left out. Refusals are their caller's to log.
//
// Supply a trace.TracerProvider or a metric.MeterProvider to Fx, and each call is traced and measured (rpc.client.call.duration),
// but for the two streams that last: watches and keepalives. Without a provider nothing is installed, and a call costs what it costs.
//
// # Limits
//
// A write that fails with Unavailable, or at its deadline, may have happened: guard it by a transaction. Watch errors about
// permissions are plain texts in etcd's client, and match no value of rpctypes. Watches of one client share a stream, and with a username the token
// with which it began: package fxetcd/watch gets over its expiry, clientv3's Watch does not. Authentication needs servers of 3.5 or later.
package fxetcd
