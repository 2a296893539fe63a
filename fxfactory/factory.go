package fxfactory

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/stderrlog"
)

// A Factory creates, holds and destroys the named instances of one kind of client. All its methods may be called from many goroutines.
//
// Lookups of instances (Get, Default, Has) are lock-free and do not allocate. Whatever changes the set takes a short lock; no
// code of the user's ever runs under it.
type Factory[T, C any] struct {
	name        string
	spec        Spec[T, C]
	options     options
	source      source[C]
	defaultName string // decided once, from configuration; "" for none
	log         *zap.Logger
	clone       cloner[C]

	table atomic.Pointer[table[T]]
	work  work

	counters counters

	stopping context.Context // ends with ErrStopped when Stop begins
	halt     context.CancelCauseFunc
	started  chan struct{} // closed when Start has succeeded or failed
	stopped  chan struct{} // closed when everything is destroyed

	mu        sync.Mutex
	phase     phase
	startErr  error
	stopErrs  []error                  // of the teardown, for the first Stop
	stopLeft  bool                     // the first Stop has returned
	records   map[string]*record[T, C] // every name that is taken
	anonymous map[*instance[T]]struct{}
	retiring  map[*instance[T]]*time.Timer
	notes     []func() // what to log once the lock is free
	live      int      // how many instances lookups can find
	names     []string // of the live instances, sorted; nil when outdated, never written once made
}

type phase uint8

const (
	phaseNew phase = iota
	phaseStarting
	phaseStarted
	phaseStopping
)

// A record is a name that is taken: by an instance, by a build that runs, or by a configured Low instance that is out. All under
// Factory.mu. Once it has left Factory.records it never comes back: a later instance of the same name has a record of its own.
type record[T, C any] struct {
	name     string
	priority Priority
	config   C            // effective
	current  *instance[T] // nil while built for the first time, and while out
	flight   *flight[T]   // a build that runs; never beside a current
	out      error        // why the instance is out; nil otherwise
	retry    *time.Timer
	attempts int
	injected bool // Fx gave the instance to somebody
}

// A planner says what a factory begins with.
type planner[T, C any] func(context.Context, *Factory[T, C]) (plan[C], error)

// A source is where the configuration beneath every instance comes from.
type source[C any] struct {
	defaults func(into *C) error
	position func(name string) string           // in the configuration, for errors; "" for none
	locate   func(name string, err error) error // with the places of the keys that err is about
}

func newFactory[T, C any](name string, spec Spec[T, C], o options, src source[C]) *Factory[T, C] {
	f := &Factory[T, C]{
		name: name, spec: spec, options: o, source: src, log: stderrlog.Or(o.log), clone: newCloner[C](),
		started: make(chan struct{}), stopped: make(chan struct{}),
		records: make(map[string]*record[T, C]), anonymous: make(map[*instance[T]]struct{}), retiring: make(map[*instance[T]]*time.Timer),
	}
	f.log = f.log.With(zap.String("factory", name))
	f.stopping, f.halt = context.WithCancelCause(context.Background())
	f.table.Store(&table[T]{})
	return f
}

// note has something logged by unlock: a logger is the user's code, too. f.mu is held.
func (f *Factory[T, C]) note(log func()) { f.notes = append(f.notes, log) }

func (f *Factory[T, C]) unlock() {
	notes := f.notes
	f.notes = nil
	f.mu.Unlock()
	for _, log := range notes {
		log()
	}
}

// Name is the factory's name: under Fx, its section of the configuration.
func (f *Factory[T, C]) Name() string { return f.name }

// Get gives the instance of a name. It is one lock-free lookup and allocates nothing. For a name that has no instance the error wraps
// ErrNotFound, lists the known names and says which is the nearest; for a Low instance that is out it wraps its last error too.
func (f *Factory[T, C]) Get(name string) (T, error) {
	if in := f.lookup(name); in != nil {
		return in.value, nil
	}
	var none T
	return none, f.missing("get", name)
}

// Default gives the default instance: of the configured default name; else "default"; else the only instance, if the
// configuration has one only. Which name that is was decided when the factory was built; without one Default gives ErrNotFound.
func (f *Factory[T, C]) Default() (T, error) {
	if f.defaultName != "" {
		return f.Get(f.defaultName)
	}
	var none T
	return none, f.noDefault()
}

// DefaultName is the name of the default instance, or "" if there is none.
func (f *Factory[T, C]) DefaultName() string { return f.defaultName }

// Has says whether Get would give an instance.
func (f *Factory[T, C]) Has(name string) bool { return f.lookup(name) != nil }

// Names are the names that Get has an instance for, sorted.
func (f *Factory[T, C]) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.known())
}

// All is the instances at the time of the call, sorted by name. Instances that come and go while the caller iterates do not show.
func (f *Factory[T, C]) All() iter.Seq2[string, T] {
	f.mu.Lock()
	names := f.known()
	values := make([]T, len(names))
	for i, name := range names {
		values[i] = f.records[name].current.value
	}
	f.mu.Unlock()
	return func(yield func(string, T) bool) {
		for i, name := range names {
			if !yield(name, values[i]) {
				return
			}
		}
	}
}

// Len is how many instances Get can give.
func (f *Factory[T, C]) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live
}

// Config is the effective configuration of an instance: the defaults with its own upon them. It is a copy that shares nothing with the
// instance's. The configuration of a Low instance that is out can be read, too.
func (f *Factory[T, C]) Config(name string) (C, error) {
	f.mu.Lock()
	r := f.records[name]
	if r == nil || r.current == nil && r.out == nil {
		f.mu.Unlock()
		var none C
		return none, f.missing("configuration of", name)
	}
	cfg := r.config
	f.mu.Unlock()
	return f.clone(cfg), nil
}

// Priority is the priority of an instance, also of one that is out; Medium for an unknown name.
func (f *Factory[T, C]) Priority(name string) Priority {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.records[name]; r != nil {
		return r.priority
	}
	return Medium
}

// known is the sorted names of the live instances; not to be written. f.mu is held.
func (f *Factory[T, C]) known() []string {
	if f.names == nil {
		f.names = slices.AppendSeq(make([]string, 0, len(f.records)), maps.Keys(f.records))
		f.names = slices.DeleteFunc(f.names, func(name string) bool { return f.records[name].current == nil })
		slices.Sort(f.names)
	}
	return f.names
}

// missing explains why a name has no instance.
func (f *Factory[T, C]) missing(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail(op, name, f.why(name))
}

// why is missing without the operation. f.mu is held.
func (f *Factory[T, C]) why(name string) error {
	if f.phase >= phaseStopping {
		return f.stoppedError()
	}
	if r := f.records[name]; r != nil && r.out != nil {
		return &outError{last: r.out}
	}
	return &missingError{name: name, known: f.known()}
}

func (f *Factory[T, C]) noDefault() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase >= phaseStopping {
		return f.failWhole("get the default of", f.stoppedError())
	}
	return f.failWhole("get the default of", &noDefaultError{known: f.known()})
}
