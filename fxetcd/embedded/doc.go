// Package embedded runs a real etcd server inside this process: for development, and for deployments of one node.
package embedded
