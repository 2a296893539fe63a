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
// A second server on one folder, in this process or another, is ErrInUse at once. etcd ends its process when it meets an
// error that it cannot go on with, such as a write-ahead log that cannot be written; this server closes Failed instead, and
// Module then shuts the application down with exit code 1. Whatever it had acknowledged is safe. Such a server may be beyond
// stopping: Stop says so after three seconds, and the folder stays in use until the process ends.
//
// # What cannot be kept apart
//
// The etcd_* metrics of all servers of a process go to Prometheus' default registry: etcd offers no other. The size of the
// write-ahead log's segments is one for the process; this package sets 2 MB, so that a server takes 4 MB of disk to begin
// with, and not 128.
package embedded
