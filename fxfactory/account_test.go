package fxfactory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxfactory"
)

// An account keeps book of the clients that a factory makes: whatever a client lives through is checked against what may happen to it.
type account struct {
	mu       sync.Mutex
	events   []string // "create aaa", "start aaa", … in the order of their beginning
	clients  []*client
	mistakes []string

	// What the functions of the spec do beyond keeping book; nil for nothing. They run while the client is in use.
	onCreate  func(ctx context.Context, name string, cfg config) error
	onStart   func(ctx context.Context, name string) error
	onCheck   func(ctx context.Context, name string) error
	onDestroy func(ctx context.Context, name string) error
}

type config struct {
	URL     string            `yaml:"url"`
	Timeout time.Duration     `yaml:"timeout"`
	Headers map[string]string `yaml:"headers"`
}

var errBadURL = errors.New("the url is bad")

func (c config) Validate() error {
	if c.URL == "bad" {
		return errBadURL
	}
	return nil
}

type client struct {
	account *account
	name    string
	config  config

	// Under account.mu.
	starts, destroys, running int
	destroyed                 bool
}

type (
	factory  = fxfactory.Factory[*client, config]
	settings = fxfactory.Settings[config]
	spec     = fxfactory.Spec[*client, config]
	clients  = map[string]func(*config)
)

func (a *account) spec() spec {
	return spec{
		Create: func(ctx context.Context, name string, cfg config) (*client, error) {
			a.event("create", name)
			if a.onCreate != nil {
				if err := a.onCreate(ctx, name, cfg); err != nil {
					return nil, err
				}
			}
			c := &client{account: a, name: name, config: cfg}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.clients = append(a.clients, c)
			return c, nil
		},
		Start: func(ctx context.Context, name string, c *client) error {
			if name != c.name {
				a.mistake("start of %q gets %q", name, c.name)
			}
			defer c.enter("start")()
			a.mu.Lock()
			if c.starts++; c.starts > 1 {
				a.mistakes = append(a.mistakes, "started twice: "+name)
			}
			a.mu.Unlock()
			if a.onStart != nil {
				return a.onStart(ctx, name)
			}
			return nil
		},
		Check: func(ctx context.Context, c *client) error {
			defer c.enter("check")()
			if a.onCheck != nil {
				return a.onCheck(ctx, c.name)
			}
			return nil
		},
		Destroy: func(ctx context.Context, c *client) error {
			a.event("destroy", c.name)
			a.mu.Lock()
			if c.destroys++; c.destroys > 1 {
				a.mistakes = append(a.mistakes, "destroyed twice: "+c.name)
			}
			if c.running > 0 {
				a.mistakes = append(a.mistakes, "destroyed in use: "+c.name)
			}
			c.destroyed = true
			a.mu.Unlock()
			if a.onDestroy != nil {
				return a.onDestroy(ctx, c.name)
			}
			return nil
		},
	}
}

// enter is user code that runs on the client.
func (c *client) enter(what string) func() {
	c.account.event(what, c.name)
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	if c.destroyed {
		c.account.mistakes = append(c.account.mistakes, what+" after destroy: "+c.name)
	}
	c.running++
	return func() {
		c.account.mu.Lock()
		defer c.account.mu.Unlock()
		c.running--
	}
}

// use is what a program does with a client that it has just looked up.
func (c *client) use() { c.enter("use")() }

func (c *client) dead() bool {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	return c.destroyed
}

func (a *account) event(what, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, what+" "+name)
}

func (a *account) mistake(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mistakes = append(a.mistakes, fmt.Sprintf(format, args...))
}

// count is how often something happened.
func (a *account) count(event string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, e := range a.events {
		if e == event {
			n++
		}
	}
	return n
}

func (a *account) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.events)
}

// alive is the names of the clients that nobody has destroyed.
func (a *account) alive() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for _, c := range a.clients {
		if !c.destroyed {
			names = append(names, c.name)
		}
	}
	return names
}

// balanced checks that every client was destroyed exactly once and nothing happened out of order.
func (a *account) balanced(t assert.TestingT) {
	a.mu.Lock()
	defer a.mu.Unlock()
	assert.Empty(t, a.mistakes)
	for _, c := range a.clients {
		assert.Equal(t, 1, c.destroys, "destroys of %q", c.name)
	}
}

// quiet keeps what a test provokes out of its output.
var quiet = fxfactory.WithLogger(zap.NewNop())

// newFactory is a factory that is stopped, and its account balanced, at the end of the test.
func newFactory(t *testing.T, a *account, cfg settings, opts ...fxfactory.Option) *factory {
	t.Helper()
	f, err := fxfactory.New(t.Context(), "http", a.spec(), cfg, append([]fxfactory.Option{quiet}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		assert.NoError(t, f.Stop(context.Background()))
		a.balanced(t)
	})
	return f
}

// these are clients that differ in their URL, which is their name.
func these(names ...string) clients {
	all := clients{}
	for _, name := range names {
		all[name] = func(c *config) { c.URL = name }
	}
	return all
}
