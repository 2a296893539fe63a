// Package etcdtest runs real etcd servers for tests, and makes them fail as servers fail. Nothing need be installed, and nothing is left
// behind: everything ends with the test that started it, in the right order, also where clients still hold connections open.
//
//	func TestLedger(t *testing.T) {
//		c := etcdtest.Start(t).Client(t)
//		_, err := c.Put(t.Context(), "k", "v")
//		…
//	}
//
// # Which one
//
//	Start         in this process, ready in a tenth of a second; Stop and Restart on the same folder and address
//	StartProcess  a process of its own: Kill (kill -9), Pause and Resume (SIGSTOP, SIGCONT), Restart, Wipe
//	StartCluster  several members in this process: Stop, Restart, Partition and Heal of one; Leader
//	StartProxy    the network between a client and any of them: Drop, Delay, Reset, Heal
//
// They go together: point clients at a Proxy's Endpoint whose target is a Server's, a Process's or a Cluster's. Methods take no
// context and return no error; what cannot be done fails the test. Each keeps its address for life, stopped or not.
//
// # What is quick about them
//
// Ticks are short (an election takes a tenth of a second or two, and the shortest TTL of a lease is one second), nothing is synchronised
// to the disk (see WithFsync: killed processes lose nothing either way), the write-ahead log is small (4 MB), and passwords are hashed
// at the least cost. A server is otherwise the one of production.
//
// # Faults
//
//	kill -9                      Process.Kill, then Restart
//	pause                        Process.Pause, then Resume
//	wiped data                   Process.Wipe, then Restart
//	black hole, reset, slow link Proxy.Drop, Reset, Delay
//	peer partition               Cluster.Partition, then Heal
//	leader lost, quorum lost     Cluster.Stop of Leader, or of most members
//	compaction                   clientv3's Compact
//	space quota exceeded         WithQuota
//	certificates                 NewCA, CA.Issue, CA.Reissue and WithTLS
//	expired tokens               WithTokenTTL, and clientv3's user management
//
// # A process is the test binary
//
// StartProcess starts the running binary again, with the environment variable FXKIT_ETCDTEST_SERVER. This package's init sees it and serves
// etcd, before the binary gets to its tests. So a test's own init functions may run in the child as well, and its TestMain does not.
package etcdtest
