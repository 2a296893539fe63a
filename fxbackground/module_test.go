package fxbackground_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// build is an application with the Runner, and what went wrong in fx.New.
func build(opts ...fx.Option) (*fxbackground.Runner, *fx.App) {
	var r *fxbackground.Runner
	app := fx.New(fx.NopLogger, fxbackground.Module, fx.Populate(&r), fx.Options(opts...))
	return r, app
}

func config(yaml string) fx.Option { return fxconfig.From(fxconfig.Text("config.yaml", yaml)) }

func TestB5_configuration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, yaml string
		want       fxbackground.Config
	}{
		{"nothing", ``, fxbackground.DefaultConfig()},
		{"an empty section", `backgroundTask: {}`, fxbackground.DefaultConfig()},
		{"what is absent keeps its default", `backgroundTask: {timeout: 7s}`, fxbackground.Config{Timeout: 7 * time.Second, Grace: 500 * time.Millisecond}},
		{"zero", `backgroundTask: {timeout: 0s, grace: 0s}`, fxbackground.Config{}},
		{"infinite", `backgroundTask: {timeout: infinite}`, fxbackground.Config{Timeout: fxbackground.Infinite, Grace: 500 * time.Millisecond}},
		{"all", `backgroundTask: {timeout: 1m30s, concurrency: 8, queue: 100, grace: 2s}`, fxbackground.Config{Timeout: 90 * time.Second, Concurrency: 8, Queue: 100, Grace: 2 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := fxbackground.DefaultConfig()
			c, err := fxconfig.Load(fxconfig.Text("config.yaml", tt.yaml))
			require.NoError(t, err)
			require.NoError(t, c.Decode(&cfg, fxbackground.ConfigPath))
			assert.Equal(t, tt.want, cfg)
			_, app := build(config(tt.yaml))
			assert.NoError(t, app.Err())
		})
	}
}

func TestB5_a_configuration_error_has_its_position(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, yaml, want string }{
		{"negative", "backgroundTask:\n  timeout: -5s", "config.yaml:2:3: backgroundTask.timeout: -5s must not be negative"},
		{"malformed", "backgroundTask:\n  timeout: soon", `config.yaml:2:12: backgroundTask.timeout: "soon" is not a duration: write one such as 5s or 1m30s, or "infinite"`},
		{"without a unit", "backgroundTask:\n  timeout: 5", `config.yaml:2:12: backgroundTask.timeout: "5" is not a duration: write one such as 5s or 1m30s, or "infinite"`},
		{"negative grace", "backgroundTask:\n  grace: -1ms", "config.yaml:2:3: backgroundTask.grace: -1ms must not be negative"},
		{"negative concurrency", "backgroundTask:\n  concurrency: -1", "config.yaml:2:3: backgroundTask.concurrency: -1 must not be negative"},
		{"negative queue", "backgroundTask:\n  queue: -1", "config.yaml:2:3: backgroundTask.queue: -1 must not be negative"},
		{"infinite grace", "backgroundTask:\n  grace: infinite", "config.yaml:2:10: backgroundTask.grace"},
		{"a misspelling", "backgroundTask:\n  timeot: 5s", `config.yaml:2:3: backgroundTask.timeot: unknown key (did you mean "timeout"?)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, app := build(config(tt.yaml))
			assert.ErrorContains(t, app.Err(), tt.want)
			var problems *fxconfig.Error
			assert.ErrorAs(t, app.Err(), &problems)
		})
	}
}

// G2: the module is a complete program, and one option value serves many applications.
func TestModule_works_alone_and_twice(t *testing.T) {
	t.Parallel()
	for range 2 {
		r, app := build()
		require.NoError(t, app.Start(t.Context()))
		run(t, r, "task", noop)
		require.NoError(t, app.Stop(t.Context()))
		assert.Equal(t, fxbackground.Stats{Submitted: 1, Succeeded: 1}, r.Stats())
		assert.ErrorIs(t, r.Run(t.Context(), "late", noop), fxbackground.ErrDraining)
	}
}

func TestModule_logs_to_the_applications_logger(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	r, app := build(fx.Supply(zap.New(core)))
	require.NoError(t, app.Start(t.Context()))
	run(t, r, "bad", func(context.Context) error { return errBoom })
	require.NoError(t, app.Stop(t.Context()))
	assert.Len(t, logs.FilterMessage("fxbackground: task failed").All(), 1)
}

func TestB7_stop_drains_and_names_what_it_leaves_behind(t *testing.T) {
	t.Parallel()
	for name, coordinate := range map[string]fx.Option{"with a coordinator": fxlifecycle.Coordinate(), "without": fx.Options()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, app := build(coordinate, fx.Supply(zap.NewNop()), config(`backgroundTask: {timeout: 2s, grace: 1s}`))
				require.NoError(t, app.Start(t.Context()))
				hold := make(chan struct{})
				run(t, r, "deaf", func(context.Context) error { <-hold; return nil })
				var cancelled time.Duration
				began := time.Now()
				run(t, r, "listens", func(ctx context.Context) error {
					<-ctx.Done()
					cancelled = time.Since(began)
					return nil
				})
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				err := app.Stop(ctx)
				assert.Equal(t, []string{"deaf"}, leftBehind(t, err))
				assert.ErrorContains(t, err, `1 task left behind after`)
				assert.LessOrEqual(t, cancelled, 2*time.Second)
				assert.GreaterOrEqual(t, cancelled, 1500*time.Millisecond)
				assert.LessOrEqual(t, time.Since(began), 3*time.Second)
				close(hold)
			})
		})
	}
}

// B7: the drain has its timeout and grace of the stop budget, before the rest is shared.
func TestB7_the_drain_has_its_time_among_many_objects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		others := make([]fx.Option, 30)
		for i := range others {
			others[i] = fx.Invoke(func(lc fx.Lifecycle) error {
				_, err := fxlifecycle.Manage(lc, &client{}, fxlifecycle.WithHooks(fxlifecycle.Hooks{
					PreDestroy: func(context.Context) error { return nil },
				}))
				return err
			})
		}
		r, app := build(fxlifecycle.Coordinate(), fx.Options(others...), fx.Supply(zap.NewNop()))
		require.NoError(t, app.Start(t.Context()))
		var cut error
		run(t, r, "task", func(ctx context.Context) error {
			time.Sleep(5*time.Second - 1) // almost all of its time
			cut = ctx.Err()
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		require.NoError(t, app.Stop(ctx))
		assert.NoError(t, cut)
	})
}

// client is what tasks use: a connection that Fx closes with a plain OnStop hook, or fxlifecycle with Destroy.
type client struct{ closed bool }

func (c *client) Destroy(context.Context) error { c.closed = true; return nil }

func newManagedClient(lc fx.Lifecycle) (*client, error) { return fxlifecycle.Manage(lc, &client{}) }

func newPlainClient(lc fx.Lifecycle) *client {
	c := &client{}
	lc.Append(fx.StopHook(func() { c.closed = true }))
	return c
}

// server takes in work and hands it to the Runner, also while it shuts down.
type server struct {
	tasks *fxbackground.Runner
	last  error
}

func newServer(lc fx.Lifecycle, tasks *fxbackground.Runner) (*server, error) {
	return fxlifecycle.Manage(lc, &server{tasks: tasks})
}

func (s *server) PreDestroy(ctx context.Context) error {
	s.last = s.tasks.Run(ctx, "last request", noop)
	return nil
}

func TestB7_the_drain_comes_between_those_who_submit_and_what_tasks_use(t *testing.T) {
	t.Parallel()
	for clientName, newClient := range map[string]any{"managed": newManagedClient, "plain": newPlainClient} {
		// Whoever is invoked first is built first, and closed last: without a coordinator the second order would fail.
		orders := map[string][]fx.Option{
			"client first": {fx.Invoke(func(*client) {}), fx.Invoke(func(*fxbackground.Runner) {}), fx.Invoke(func(*server) {})},
			"client last":  {fx.Invoke(func(*fxbackground.Runner) {}), fx.Invoke(func(*server) {}), fx.Invoke(func(*client) {})},
			"in between":   {fx.Invoke(func(*fxbackground.Runner) {}), fx.Invoke(func(*client) {}), fx.Invoke(func(*server) {})},
		}
		for order, invokes := range orders {
			t.Run(clientName+", "+order, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var c *client
					var s *server
					var r *fxbackground.Runner
					app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Provide(newClient, newServer),
						fx.Options(invokes...), fxbackground.Module, fx.Populate(&c, &s, &r))
					require.NoError(t, app.Start(t.Context()))
					var sawClosed bool
					run(t, r, "uses the client", func(context.Context) error {
						time.Sleep(time.Second) // stop has begun
						sawClosed = c.closed
						return nil
					})
					require.NoError(t, app.Stop(context.Background()))
					assert.False(t, sawClosed, "a task saw a closed client")
					assert.True(t, c.closed)
					assert.NoError(t, s.last, "what was built after the Runner submits until its own PreDestroy is over")
				})
			})
		}
	}
}

// B7: a start that fails has no PreDestroy for what it had not passed. Tasks of hooks are cancelled then.
func TestB7_Destroy_cancels_where_PreDestroy_did_not_run(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var took time.Duration
		_, app := build(
			fxlifecycle.Coordinate(),
			fx.Invoke(func(r *fxbackground.Runner) error {
				began := time.Now()
				return errors.Join(errBoom, r.Run(context.Background(), "task", func(ctx context.Context) error {
					<-ctx.Done()
					took = time.Since(began)
					return nil
				}))
			}),
		)
		require.ErrorIs(t, app.Err(), errBoom)
		synctest.Wait()
		assert.Zero(t, took)
	})
}

func TestB8_a_task_of_an_OnStart_hook_outlives_start(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen error
		_, app := build(fx.Invoke(func(lc fx.Lifecycle, r *fxbackground.Runner) {
			lc.Append(fx.StartHook(func(ctx context.Context) error {
				return r.Run(ctx, "warm up", func(ctx context.Context) error {
					select {
					case <-ctx.Done():
						seen = context.Cause(ctx)
					case <-time.After(time.Hour):
					}
					return nil
				})
			}))
		}))
		start, cancel := context.WithTimeout(t.Context(), time.Second)
		require.NoError(t, app.Start(start))
		cancel()
		time.Sleep(2 * time.Hour)
		assert.NoError(t, seen)
		require.NoError(t, app.Stop(t.Context()))
	})
}
