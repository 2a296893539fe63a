// Package watch watches prefixes of etcd's keys, and neither misses nor repeats an event.
package watch
