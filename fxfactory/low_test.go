package fxfactory_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxfactory"
)

func TestF5_a_failing_Low_instance_is_logged_left_out_and_retried(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"create", "start"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var up atomic.Bool
				fail := func(_ context.Context, name string) error {
					if name == "low" && !up.Load() {
						return errDown
					}
					return nil
				}
				a := &account{}
				if step == "create" {
					a.onCreate = func(ctx context.Context, name string, _ config) error { return fail(ctx, name) }
				} else {
					a.onStart = fail
				}
				core, logs := observer.New(zap.InfoLevel)
				f, err := fxfactory.New(t.Context(), "http", a.spec(),
					settings{Clients: these("low", "main"), Priorities: priorities{"low": fxfactory.Low}}, fxfactory.WithLogger(zap.New(core)))
				require.NoError(t, err)
				require.NoError(t, f.Start(t.Context()))

				wrote := logs.FilterMessage("an instance of priority Low is out").All()
				require.Len(t, wrote, 1)
				assert.Equal(t, "low", wrote[0].ContextMap()["instance"])
				assert.Equal(t, "http", wrote[0].ContextMap()["factory"])
				assert.Equal(t, []string{"main"}, a.alive())
				assert.Equal(t, []string{"main"}, f.Names())
				assert.Equal(t, fxfactory.Low, f.Priority("low"), "it keeps its priority")
				cfg, err := f.Config("low")
				require.NoError(t, err)
				assert.Equal(t, "low", cfg.URL, "and its configuration")
				_, err = f.Get("low")
				require.ErrorIs(t, err, fxfactory.ErrNotFound)
				require.ErrorIs(t, err, errDown)
				require.EqualError(t, err, `fxfactory: get http "low": no such instance at the moment, it is of priority Low and failed: `+
					`fxfactory: `+step+` http "low": the server is down`)
				_, err = f.Create(t.Context(), "low", nil)
				require.ErrorIs(t, err, fxfactory.ErrExists, "it keeps its name")
				health := f.Check(t.Context())
				require.Len(t, health, 2)
				assert.Equal(t, "low", health[0].Name)
				assert.Equal(t, fxfactory.Low, health[0].Priority)
				require.ErrorIs(t, health[0].Err, errDown)
				require.NoError(t, health[1].Err)

				_, err = f.GetOrCreate(t.Context(), "low", nil)
				require.ErrorIs(t, err, errDown, "tried at once")
				time.Sleep(10 * time.Minute)
				attempts := a.count("create low")
				assert.Greater(t, attempts, 20, "tried again and again")
				assert.Less(t, attempts, 60, "with backoff")
				assert.Len(t, logs.FilterMessage("an instance of priority Low is out").All(), attempts)

				up.Store(true)
				time.Sleep(time.Minute)
				low, err := f.Get("low")
				require.NoError(t, err)
				low.use()
				assert.Equal(t, "low", low.config.URL)
				assert.Equal(t, 1, low.starts)
				assert.Len(t, logs.FilterMessage("an instance of priority Low is back").All(), 1)
				done := a.count("create low")
				time.Sleep(time.Hour)
				assert.Equal(t, done, a.count("create low"), "no more retries")
				require.NoError(t, f.Stop(t.Context()))
				a.balanced(t)
			})
		})
	}
}

func TestF5_GetOrCreate_and_Replace_bring_back_what_is_out(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		a := &account{onCreate: func(context.Context, string, config) error {
			if !up.Load() {
				return errDown
			}
			return nil
		}}
		f := newFactory(t, a, settings{Clients: these("a", "b"), Priorities: priorities{"a": fxfactory.Low, "b": fxfactory.Low}})
		require.NoError(t, f.Start(t.Context()))
		_, err := f.Replace(t.Context(), "b", nil)
		require.ErrorIs(t, err, errDown)
		up.Store(true)
		got, err := f.GetOrCreate(t.Context(), "a", func(c *config) { c.URL = "not that" })
		require.NoError(t, err)
		assert.Equal(t, "a", got.config.URL, "with its own configuration")
		got, err = f.Replace(t.Context(), "b", func(c *config) { c.URL += "!" })
		require.NoError(t, err)
		assert.Equal(t, "b!", got.config.URL)
		again, err := f.Get("b")
		require.NoError(t, err)
		assert.Same(t, got, again)
		created := a.count("create b")
		time.Sleep(time.Hour)
		assert.Equal(t, created, a.count("create b"), "no more retries")
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF5_Remove_and_Stop_end_the_retries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onCreate: failingCreate("a", "b")}
		f := newFactory(t, a, settings{Clients: these("a", "b"), Priorities: priorities{"a": fxfactory.Low, "b": fxfactory.Low}})
		require.NoError(t, f.Start(t.Context()))
		require.NoError(t, f.Remove(t.Context(), "a"))
		require.ErrorIs(t, f.Remove(t.Context(), "a"), fxfactory.ErrNotFound)
		removed := a.count("create a")
		time.Sleep(time.Minute)
		assert.Equal(t, removed, a.count("create a"))
		require.NoError(t, f.Stop(t.Context()))
		stopped := a.count("create b")
		assert.Greater(t, stopped, 3)
		time.Sleep(time.Minute)
		assert.Equal(t, stopped, a.count("create b"))
	})
}

// A retry runs while Remove, Replace, Stop or GetOrCreate comes.
func TestF5_a_retry_that_runs_is_cancelled_or_joined(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"remove", "replace", "stop", "join", "join and leave"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var attempts atomic.Int64
				a := &account{onCreate: func(ctx context.Context, _ string, c config) error {
					switch n := attempts.Add(1); {
					case n == 1:
						return errDown
					case n == 2:
						select {
						case <-time.After(5 * time.Second):
						case <-ctx.Done():
						}
					}
					return nil // also when cancelled: what it yields all the same must be destroyed
				}}
				f := newFactory(t, a, settings{Clients: these("a"), Priorities: priorities{"a": fxfactory.Low}})
				require.NoError(t, f.Start(t.Context()))
				time.Sleep(time.Second)
				require.EqualValues(t, 2, attempts.Load(), "the retry runs")
				switch what {
				case "remove":
					require.NoError(t, f.Remove(t.Context(), "a"))
					synctest.Wait()
					assert.Empty(t, a.alive())
					assert.Zero(t, f.Len())
				case "replace":
					got, err := f.Replace(t.Context(), "a", nil)
					require.NoError(t, err)
					time.Sleep(time.Minute)
					now, err := f.Get("a")
					require.NoError(t, err)
					assert.Same(t, got, now)
					assert.Equal(t, []string{"a"}, a.alive())
				case "stop":
					require.NoError(t, f.Stop(t.Context()))
					assert.Empty(t, a.alive())
				case "join":
					got, err := f.GetOrCreate(t.Context(), "a", nil)
					require.NoError(t, err)
					assert.EqualValues(t, 2, attempts.Load())
					now, err := f.Get("a")
					require.NoError(t, err)
					assert.Same(t, got, now)
				case "join and leave":
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					_, err := f.GetOrCreate(ctx, "a", nil)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					time.Sleep(10 * time.Second)
					assert.True(t, f.Has("a"), "the retry goes on")
					assert.EqualValues(t, 2, attempts.Load())
				}
				require.NoError(t, f.Stop(t.Context()))
			})
		})
	}
}

func TestF5_the_time_limit_of_an_attempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		a := &account{
			onCreate: func(ctx context.Context, _ string, _ config) error {
				switch attempts.Add(1) {
				case 1:
					return errDown
				case 2:
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
			onStart: func(ctx context.Context, _ string) error {
				if attempts.Load() == 3 {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
		}
		f := newFactory(t, a, settings{Clients: these("a"), Priorities: priorities{"a": fxfactory.Low}})
		require.NoError(t, f.Start(t.Context()))
		time.Sleep(time.Minute)
		assert.EqualValues(t, 4, attempts.Load())
		assert.True(t, f.Has("a"))
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF5_a_Low_instance_may_use_up_the_time_of_startup_without_failing_it(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onStart: func(ctx context.Context, name string) error {
			if name == "low" {
				time.Sleep(time.Hour) // deaf to its context
			}
			return nil
		}}
		f := newFactory(t, a, settings{Clients: these("low", "main"), Priorities: priorities{"low": fxfactory.Low}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, f.Start(ctx))
		assert.True(t, f.Has("main"))
		assert.False(t, f.Has("low"))
		time.Sleep(3 * time.Hour)
		require.NoError(t, f.Stop(t.Context()))
	})
}
