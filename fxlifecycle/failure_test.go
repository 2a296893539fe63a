package fxlifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/internal/guard"
)

var errBoom = errors.New("boom")

// A chain is an application of three objects, each a dependency of the next, with a foreign hook after each. Before it stands
// a foreign hook as well, so that the first object's hooks are not the first of all.
type chain struct {
	*steps
	do          map[string]func(context.Context) error // by "object.Hook", "object.new", "raw.OnStart", "invoke"
	coordinator *fxlifecycle.Coordinator
	app         *fx.App
}

var chainNames = []string{"a", "b", "c"}

func newChain() *chain {
	return &chain{steps: &steps{}, do: map[string]func(context.Context) error{}}
}

func (c *chain) at(site string, do func(context.Context) error) *chain {
	c.do[site] = do
	return c
}

func (c *chain) reach(site string) error {
	c.add(site)
	if do := c.do[site]; do != nil {
		return do(context.Background())
	}
	return nil
}

func (c *chain) raw(name string) fx.Hook {
	run := func(hook string) func(context.Context) error {
		return func(ctx context.Context) error {
			c.add(name + "." + hook)
			if do := c.do[name+"."+hook]; do != nil {
				return do(ctx)
			}
			return nil
		}
	}
	return fx.Hook{OnStart: run("OnStart"), OnStop: run("OnStop")}
}

func (c *chain) build(lc fx.Lifecycle, name string) (*object, error) {
	if err := c.reach(name + ".new"); err != nil {
		return nil, err
	}
	do := map[string]func(context.Context) error{}
	for _, hook := range []string{"PostConstruct", "PreInject", "PostInject", "Init", "PreDestroy", "Destroy"} {
		do[hook] = c.do[name+"."+hook]
	}
	o, err := fxlifecycle.Manage(lc, &object{name: name, steps: c.steps, do: do}, fxlifecycle.WithName(name))
	if err == nil {
		lc.Append(c.raw("raw " + name))
	}
	return o, err
}

func (c *chain) new(opts ...fx.Option) *chain {
	type A struct{ *object }
	type B struct{ *object }
	type C struct{ *object }
	c.app = fx.New(append([]fx.Option{
		fx.NopLogger,
		fx.Supply(zap.NewNop()),
		fxlifecycle.Coordinate(),
		fx.Populate(&c.coordinator),
		fx.Provide(
			func(lc fx.Lifecycle) (A, error) {
				lc.Append(c.raw("raw"))
				o, err := c.build(lc, "a")
				return A{o}, err
			},
			func(lc fx.Lifecycle, _ A) (B, error) { o, err := c.build(lc, "b"); return B{o}, err },
			func(lc fx.Lifecycle, _ B) (C, error) { o, err := c.build(lc, "c"); return C{o}, err },
		),
		fx.Invoke(func(C) error { return c.reach("invoke") }),
	}, opts...)...)
	return c
}

// verify checks what holds after any life: each object given to Manage was destroyed exactly once, drained at most once and
// only if start had passed it, and everything was drained before anything was destroyed or any foreign hook stopped.
func (c *chain) verify(t *testing.T) {
	t.Helper()
	closing := false
	for _, step := range c.list() {
		switch name, hook := cutStep(step); hook {
		case "PreDestroy":
			assert.False(t, closing, "%s after something was closed: %v", step, c.list())
			assert.NotZero(t, c.count(name+".Init"), "%s without Init: %v", step, c.list())
		case "Destroy", "OnStop":
			closing = closing || c.count("a.Init") > 0 // before start nothing is drained
		}
	}
	for _, name := range chainNames {
		if c.count(name+".PostConstruct") > 0 {
			assert.Equal(t, 1, c.count(name+".Destroy"), "%s.Destroy in %v", name, c.list())
		} else {
			assert.Zero(t, c.count(name+".Destroy"), "%s was never managed: %v", name, c.list())
		}
		for _, hook := range []string{"PostConstruct", "PreInject", "PostInject", "Init", "PreDestroy"} {
			assert.LessOrEqual(t, c.count(name+"."+hook), 1, "%s.%s in %v", name, hook, c.list())
		}
	}
	for _, name := range []string{"raw", "raw a", "raw b", "raw c"} {
		assert.LessOrEqual(t, c.count(name+".OnStop"), 1)
	}
}

var failures = map[string]func(context.Context) error{
	"error": func(context.Context) error { return errBoom },
	"panic": func(context.Context) error { panic(errBoom) },
}

func TestL4_whatever_fails_in_New_everything_is_destroyed_once(t *testing.T) {
	t.Parallel()
	for _, site := range []string{
		"a.new", "b.new", "c.new", "invoke",
		"a.PostConstruct", "b.PostConstruct", "b.PreInject", "b.PostInject", "c.PostInject",
	} {
		for kind, fail := range failures {
			t.Run(kind+" in "+site, func(t *testing.T) {
				t.Parallel()
				c := newChain().at(site, fail).new()
				require.ErrorContains(t, c.app.Err(), "boom")
				c.verify(t)
				for _, name := range chainNames {
					assert.Zero(t, c.count(name+".PreDestroy"))
				}
				assert.Zero(t, c.count("raw.OnStop"), "Fx stops no hook that was not started")
				assert.Equal(t, fxlifecycle.Stopped, c.coordinator.Phase())
				assert.NoError(t, c.coordinator.Close(t.Context()))
				c.verify(t)
			})
		}
	}
}

func TestL4_whatever_fails_in_start_everything_is_destroyed_once(t *testing.T) {
	t.Parallel()
	for site, passed := range map[string]string{
		"raw.OnStart": "", "a.Init": "", "raw a.OnStart": "a", "b.Init": "a", "c.Init": "ab", "raw c.OnStart": "abc", "ready": "abc",
	} {
		for kind, fail := range failures {
			t.Run(kind+" in "+site, func(t *testing.T) {
				t.Parallel()
				c := newChain().at(site, fail).new()
				require.NoError(t, c.app.Err())
				c.coordinator.OnReady(c.do["ready"])
				err := c.app.Start(t.Context())
				require.ErrorIs(t, err, errBoom)
				if kind == "panic" {
					var p *guard.PanicError
					require.ErrorAs(t, err, &p)
					assert.Contains(t, string(p.Stack), "failure_test.go", "L8: with its stack")
				}
				c.verify(t)
				var drained string
				for _, name := range chainNames {
					if c.count(name+".PreDestroy") > 0 {
						drained += name
					}
				}
				assert.Equal(t, passed, drained, "exactly what start has passed is drained")
				assert.Equal(t, fxlifecycle.Stopped, c.coordinator.Phase())
				require.NoError(t, c.app.Stop(t.Context()))
				c.verify(t)
				assert.ErrorIs(t, c.app.Start(t.Context()), fxlifecycle.ErrStopped)
			})
		}
	}
}

func TestL8_whatever_fails_in_stop_the_rest_goes_on_and_no_error_is_lost(t *testing.T) {
	t.Parallel()
	for kind, fail := range failures {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newChain()
			sites := []string{"a.PreDestroy", "b.Destroy", "raw.OnStop", "c.PreDestroy", "c.Destroy"}
			for _, site := range sites {
				c.at(site, func(ctx context.Context) error {
					if kind == "panic" {
						panic(fmt.Errorf("%s: %w", site, errBoom))
					}
					return fmt.Errorf("%s: %w", site, fail(ctx))
				})
			}
			c.new()
			require.NoError(t, c.app.Start(t.Context()))
			err := c.app.Stop(t.Context())
			require.ErrorIs(t, err, errBoom)
			for _, site := range sites {
				assert.ErrorContains(t, err, site+": boom")
			}
			c.verify(t)
			assert.Equal(t, 1, c.count("raw b.OnStop"))
		})
	}
}

// A hang is a hook that does not return by itself.
type hang struct {
	honours bool          // its context
	release chan struct{} // ends those that do not
}

func (h hang) run(ctx context.Context) error {
	if h.honours {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	<-h.release
	return errBoom
}

func TestL4_whatever_hangs_everything_is_destroyed_once(t *testing.T) {
	t.Parallel()
	startSites := []string{"raw.OnStart", "a.Init", "b.Init", "c.Init", "raw c.OnStart"}
	stopSites := []string{"a.PreDestroy", "c.PreDestroy", "a.Destroy", "b.Destroy", "raw.OnStop", "raw c.OnStop"}
	for _, honours := range []bool{true, false} {
		for _, cancelled := range []bool{true, false} {
			for i, site := range append(startSites, stopSites...) {
				name := fmt.Sprintf("%s, honours=%t, cancelled=%t", site, honours, cancelled)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						hangs(t, site, hang{honours, make(chan struct{})}, cancelled, i < len(startSites))
					})
				})
			}
		}
	}
}

func hangs(t *testing.T, site string, h hang, cancelled, inStart bool) {
	c := newChain().at(site, h.run).new()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if cancelled {
		time.AfterFunc(time.Second, cancel)
	}

	var err error
	if inStart {
		err = c.app.Start(ctx)
		require.Error(t, err)
	} else {
		require.NoError(t, c.app.Start(t.Context()))
		err = c.app.Stop(ctx)
	}
	took := time.Since(begin)
	switch {
	case cancelled:
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Second, took, "Fx returns at once; the rest goes on")
	default:
		require.Error(t, err)
		assert.Less(t, took, 10*time.Second, "before the deadline, after which Fx would skip the rest and drop the errors")
		object, hook := cutStep(site)
		assert.ErrorContains(t, err, hook, "L6, L7: what hung is named")
		if !strings.HasPrefix(object, "raw") {
			assert.ErrorContains(t, err, fmt.Sprintf("fxlifecycle: %s %q", hook, object))
		}
	}
	time.Sleep(time.Minute)
	c.verify(t)
	require.NoError(t, ignoreReported(c.coordinator.Close(context.Background())))
	assert.Equal(t, fxlifecycle.Stopped, c.coordinator.Phase())
	require.NoError(t, c.app.Stop(context.Background()))
	c.verify(t)
	close(h.release)
}

// ignoreReported leaves out the errors of hooks, which Close returns where Fx has dropped them.
func ignoreReported(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, errBoom) {
		return nil
	}
	return err
}

func cutStep(step string) (object, hook string) {
	i := strings.LastIndexByte(step, '.')
	return step[:max(i, 0)], step[i+1:]
}
