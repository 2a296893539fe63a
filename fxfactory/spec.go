package fxfactory

import (
	"context"
	"time"
)

// A Spec is how the instances of one kind of client are made, started, checked and destroyed. T is the client, C its configuration.
//
// Every function may be called from many goroutines at once, for different instances. A panic in one of them, or a runtime.Goexit, is an
// error with the instance's name. A function that ignores its context is left behind when the context ends; whoever waited goes on.
type Spec[T, C any] struct {
	// Create makes an instance. Required. The name is empty for an instance of Open. ctx ends when Create returns, so never
	// keep it; no I/O where the client allows it: that belongs to Start. cfg is Create's own, and a nil pointer or interface an error. What
	// fxconfig.At says of a key of cfg is reported with the key's place in the configuration.
	Create func(ctx context.Context, name string, cfg C) (T, error)
	// Start makes an instance ready, say by reaching its server: in the factory's Start (Fx's OnStart), and for
	// an instance created after that before anybody sees it. Optional. It never runs on a destroyed instance, and at most once on each.
	Start func(ctx context.Context, name string, instance T) error
	// Check tells whether an instance is healthy. Optional.
	Check func(ctx context.Context, instance T) error
	// Destroy releases what Create and Start acquired, also after a Start that failed. Optional. It runs exactly once for every
	// instance that Create returned, and never beside a Start or a Check of the same instance.
	Destroy func(ctx context.Context, instance T) error
	// Default fills what lies beneath the configured default of every instance. Optional.
	Default func(*C)
	// Fallback is the instances that exist where none is configured. Optional. A function gets a C already filled from the defaults.
	Fallback map[string]func(*C)
}

// Settings are what a section of YAML says, for New.
//
// The functions may be called from several goroutines at once and more than once for an instance. What they put into a map, slice or pointer of C is copied.
type Settings[C any] struct {
	Default     func(*C)            // fills the default of every instance
	Clients     map[string]func(*C) // the instances; each function gets a C already filled from the defaults, a nil one changes nothing
	DefaultName string              // the default instance; must be one of Clients
	Priorities  map[string]Priority // of the names in Clients; Medium for one that is not here
}

// An Instance is one of a factory's instances, as Module provides them in group:"<section>".
type Instance[T any] struct {
	Name     string
	Priority Priority
	Value    T
}

// Health is what Check found out about one instance.
type Health struct {
	Name     string
	Priority Priority
	Err      error         // nil for healthy; for an instance of priority Low that is out, the error that put it there
	Latency  time.Duration // of Spec.Check; 0 where it did not run
}
