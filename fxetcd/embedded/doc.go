// Package embedded runs a real etcd server inside this process: for development, where nothing need be installed, and for
// deployments of one node. It keeps its data in a folder, over restarts and crashes: what it has acknowledged is on the disk.
//
// # Under Fx
//
// List Module beside fxetcd.Module, and clients that have no endpoints of their own connect to the server:
//
//	fx.New(fxetcd.Module, embedded.Module, …)
//
// The server starts in OnStart, before every client; in fx.New there is nothing of it yet. It stops after every client, and at
// once: clients of other processes lose their connections. Its section, with the defaults:
//
//	etcd:
//	  embedded:
//	    dir: data/etcd         # this user's alone (0700), and one server's at a time
//	    listen: 127.0.0.1:0    # a free port; ":2379" for all interfaces
//	    history: 1h            # how long overwritten values can still be read; negative: for ever
//	    logLevel: info         # of its own lines, which go to the application's logger, under "etcd"
//
// # Without Fx
//
// Start runs a server, and Stop ends it. Configure reaches all of etcd's own configuration: TLS, quota, tokens.
//
// # When it goes wrong
//
// A second server on one folder, in this process or another, is ErrInUse at once, and so is a folder whose database a plain etcd has open.
// A folder that a start or an application has just given up, because its time was over, is waited for, five seconds at most (where folders
// can be locked; on Windows it is ErrInUse for that moment).
//
// A server reads its data before etcd does, and refuses what is damaged, with the file and the reason, and without changing it: a database
// that is cut off or was written over (one of more than 64 MB is not read whole), a write-ahead log that is gone, damaged, or ends before the database does. Restore a snapshot then
// (etcdutl snapshot restore; of member/snap/db itself with --skip-hash-check), or move the folder away to begin without data. The torn last
// write of a crash is no damage: etcd cuts it off, and keeps the log as it was beside it, as a file that ends in .broken.
//
// etcd ends its process when it meets an error that it cannot go on with, such as a write-ahead log that cannot be written; this server
// closes Failed instead, and Module then shuts the application down with exit code 1. Whatever it had acknowledged is safe. Such a server
// may be beyond stopping: Stop says so after three seconds, and the folder stays in use until the process ends. A start that meets such an
// error says so too: goroutines of etcd's may remain, with the port and the database, and the next start belongs in a new process.
//
// # What cannot be kept apart
//
// The etcd_* metrics of all servers of a process go to Prometheus' default registry: etcd offers no other. The size of the
// write-ahead log's segments is one for the process; this package sets 2 MB, so that a server takes 4 MB of disk to begin
// with, and not 128. That is blocks: the database, member/snap/db, has holes, looks like 16 MB from the start, and is that large in
// a copy that fills them. bbolt's step is a constant, and a smaller mapping to begin with would have writes wait for readers as the database grows.
package embedded
