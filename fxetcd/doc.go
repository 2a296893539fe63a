// Package fxetcd provides named etcd clients.
package fxetcd
