package fxfactory

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// An Option changes how a factory works. Options are for Module and New, except where they say otherwise.
type Option interface {
	fmt.Stringer
	apply(*options) error
}

type options struct {
	concurrency    int
	createTimeout  time.Duration // 0: only the caller's context bounds a Create
	retireAfter    time.Duration
	log            *zap.Logger
	hasLog         bool
	withoutDefault bool
	keys           []string
}

const (
	defaultConcurrency   = 64
	defaultCreateTimeout = 15 * time.Second
	defaultRetireAfter   = 10 * time.Second
)

func newOptions(opts []Option) (options, error) {
	o := options{concurrency: defaultConcurrency, retireAfter: defaultRetireAfter}
	var errs []error
	for _, opt := range opts {
		if opt == nil {
			errs = append(errs, errors.New("an Option is nil"))
			continue
		}
		if err := opt.apply(&o); err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", opt, err))
		}
	}
	return o, errors.Join(errs...)
}

type option struct {
	text string
	set  func(*options) error
}

func (o option) String() string          { return o.text }
func (o option) apply(to *options) error { return o.set(to) }

// Concurrency is how many instances are created, started, checked or destroyed at once: 64 unless told otherwise, at least 1.
func Concurrency(n int) Option {
	return option{fmt.Sprintf("Concurrency(%d)", n), func(o *options) error {
		if n < 1 {
			return errors.New("must be at least 1")
		}
		o.concurrency = n
		return nil
	}}
}

// CreateTimeout bounds one call of Spec.Create: 15 s under Module; under New, unless this option is given, only the caller's
// context does. The context that Create gets ends then; a Create that goes on regardless is left behind a tenth later, and what it
// yields after all is destroyed.
func CreateTimeout(d time.Duration) Option {
	return option{fmt.Sprintf("CreateTimeout(%v)", d), func(o *options) error {
		if d <= 0 {
			return errors.New("must be positive")
		}
		o.createTimeout = d
		return nil
	}}
}

// RetireAfter is how long an instance that was replaced stays usable for those who still hold it: 10 s unless told otherwise.
func RetireAfter(d time.Duration) Option {
	return option{fmt.Sprintf("RetireAfter(%v)", d), func(o *options) error {
		if d < 0 {
			return errors.New("must not be negative")
		}
		o.retireAfter = d
		return nil
	}}
}

// WithLogger is where a factory writes what it can return to nobody: an instance of priority Low that failed or came back, a Destroy
// that failed after its caller had left. Without it that is the application's *zap.Logger under Fx; without that, and for nil, standard
// error. With it Module does not ask Fx for a logger, so a factory of loggers can provide it.
func WithLogger(log *zap.Logger) Option {
	return option{"WithLogger", func(o *options) error {
		o.log, o.hasLog = log, true
		return nil
	}}
}

// WithoutDefault keeps Module from providing the default instance as T, for a T that somebody else provides.
func WithoutDefault() Option {
	return option{"WithoutDefault()", func(o *options) error {
		o.withoutDefault = true
		return nil
	}}
}

// Keys names further keys of Module's section, which others read; any other unknown key is an error.
func Keys(names ...string) Option {
	return option{fmt.Sprintf("Keys(%q)", names), func(o *options) error {
		o.keys = append(o.keys, names...)
		return nil
	}}
}

// A CreateOption changes one Create or GetOrCreate.
type CreateOption interface {
	fmt.Stringer
	applyCreate(*createOptions) error
}

type createOptions struct{ priority Priority }

type createOption struct {
	text string
	set  func(*createOptions) error
}

func (o createOption) String() string                      { return o.text }
func (o createOption) applyCreate(to *createOptions) error { return o.set(to) }

// WithPriority gives the instance a priority, which orders its destruction and shows in Check; it is Medium otherwise.
// An instance that Create or GetOrCreate makes is never retried: its caller has the error.
func WithPriority(p Priority) CreateOption {
	return createOption{fmt.Sprintf("WithPriority(%v)", p), func(o *createOptions) error {
		if !p.valid() {
			return errors.New("one of High, Medium, Low")
		}
		o.priority = p
		return nil
	}}
}

func newCreateOptions(opts []CreateOption) (createOptions, error) {
	var o createOptions
	var errs []error
	for _, opt := range opts {
		if opt == nil {
			errs = append(errs, errors.New("a CreateOption is nil"))
			continue
		}
		if err := opt.applyCreate(&o); err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", opt, err))
		}
	}
	return o, errors.Join(errs...)
}
