// Package registry registers services in etcd and finds them.
package registry
