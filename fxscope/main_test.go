package fxscope_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/fxscope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin starts an application of opts and Module, and stops it when the test is over.
func begin(t *testing.T, opts ...fx.Option) *fxscope.Scopes {
	t.Helper()
	scopes, app := build(t, opts...)
	require.NoError(t, app.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, app.Stop(context.Background())) })
	return scopes
}

// build makes the application without starting it.
func build(t *testing.T, opts ...fx.Option) (*fxscope.Scopes, *fx.App) {
	t.Helper()
	var scopes *fxscope.Scopes
	app := fx.New(fx.NopLogger, fxscope.Module, fx.Options(opts...), fx.Populate(&scopes))
	require.NoError(t, app.Err())
	return scopes, app
}

// planError is why fx.New refuses opts with Module.
func planError(t *testing.T, opts ...fx.Option) error {
	t.Helper()
	err := fx.New(fx.NopLogger, fxscope.Module, fx.Options(opts...)).Err()
	require.Error(t, err)
	return err
}

// A ledger is the account of a test: every hook that ran, in order, and what lives.
type ledger struct {
	mu      sync.Mutex
	entries []string
	living  map[any]string
	built   int
}

func newLedger() *ledger { return &ledger{living: make(map[any]string)} }

func (l *ledger) write(entry string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry)
}

func (l *ledger) read() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.entries...)
}

func (l *ledger) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

func (l *ledger) birth(o any, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.built++
	l.living[o] = name
}

func (l *ledger) death(t assert.TestingT, o any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, alive := l.living[o]
	assert.True(t, alive, "destroyed what was not built, or twice")
	delete(l.living, o)
}

// balanced asserts that all that was built is destroyed, and that there was something to destroy.
func (l *ledger) balanced(t assert.TestingT) {
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.NotZero(t, l.built, "nothing was built, so nothing is proved")
	assert.Empty(t, l.living, "built and not destroyed")
}

// An account is a scoped object that keeps its ledger right. Embed it for several types.
type account struct {
	name string
	l    *ledger
	t    assert.TestingT
	fail string // the hook that fails
	err  error
	boom bool // it panics instead
}

func (l *ledger) account(t assert.TestingT, name string) *account {
	a := &account{name: name, l: l, t: t}
	l.birth(a, name)
	return a
}

func (a *account) hook(name string) error {
	a.l.write(a.name + "." + name)
	if a.fail != name {
		return nil
	}
	if a.boom {
		panic(a.err)
	}
	return a.err
}

func (a *account) PostConstruct(context.Context) error { return a.hook("PostConstruct") }
func (a *account) PreInject(context.Context) error     { return a.hook("PreInject") }
func (a *account) PostInject(context.Context) error    { return a.hook("PostInject") }
func (a *account) Init(context.Context) error          { return a.hook("Init") }
func (a *account) PreDestroy(context.Context) error    { return a.hook("PreDestroy") }

func (a *account) Destroy(context.Context) error {
	a.l.death(a.t, a)
	return a.hook("Destroy")
}
