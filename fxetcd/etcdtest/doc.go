// Package etcdtest runs real etcd servers for tests, and makes them fail.
package etcdtest
