package fxfactory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxfactory"
)

type priorities = map[string]fxfactory.Priority

var errDown = errors.New("the server is down")

// failing fails for the names that it is given.
func failing(names ...string) func(context.Context, string) error {
	return func(_ context.Context, name string) error {
		if slices.Contains(names, name) {
			return errDown
		}
		return nil
	}
}

func failingCreate(names ...string) func(context.Context, string, config) error {
	fail := failing(names...)
	return func(ctx context.Context, name string, _ config) error { return fail(ctx, name) }
}

func TestF5_startup_is_High_then_Medium_then_Low_and_stop_the_reverse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{}
		// The second of each priority takes longer: the next priority must wait for it.
		slow := func(name string) {
			if name[1] == '2' {
				time.Sleep(time.Second)
			}
		}
		a.onCreate = func(_ context.Context, name string, _ config) error { slow(name); return nil }
		a.onStart = func(_ context.Context, name string) error { slow(name); return nil }
		a.onDestroy = func(_ context.Context, name string) error { slow(name); return nil }
		begin := time.Now()
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{
			Clients:    these("l1", "l2", "m1", "m2", "h1", "h2"),
			Priorities: priorities{"l1": fxfactory.Low, "l2": fxfactory.Low, "h1": fxfactory.High, "h2": fxfactory.High},
		})
		require.NoError(t, err)
		require.NoError(t, f.Start(t.Context()))
		require.NoError(t, f.Stop(t.Context()))
		assert.Equal(t, 9*time.Second, time.Since(begin), "within a priority all run at once")
		var order []string
		for _, e := range a.all() {
			if step := e[:len(e)-1]; len(order) == 0 || order[len(order)-1] != step {
				order = append(order, step)
			}
		}
		assert.Equal(t, []string{
			"create h", "create m", "create l", "start h", "start m", "start l", "destroy l", "destroy m", "destroy h",
		}, order)
		a.balanced(t)
	})
}

func TestF5_at_most_Concurrency_at_a_time(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		busy := func() error {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			return nil
		}
		a := &account{
			onCreate:  func(context.Context, string, config) error { return busy() },
			onStart:   func(context.Context, string) error { return busy() },
			onCheck:   func(context.Context, string) error { return busy() },
			onDestroy: func(context.Context, string) error { return busy() },
		}
		all := clients{}
		for i := range 10 {
			all[fmt.Sprint(i)] = nil
		}
		begin := time.Now()
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: all}, fxfactory.Concurrency(3))
		require.NoError(t, err)
		require.NoError(t, f.Start(t.Context()))
		assert.Len(t, f.Check(t.Context()), 10)
		require.NoError(t, f.Stop(t.Context()))
		assert.EqualValues(t, 3, most.Load())
		assert.Equal(t, 4*4*time.Second, time.Since(begin), "ten of three at a time are four rounds")
	})
}

func TestF5_F6_a_failure_does_not_cancel_its_peers_and_the_next_priority_is_not_begun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []string{"create", "start"} {
			a := &account{}
			fail := func(ctx context.Context, name string) error {
				switch name {
				case "h-bad1", "h-bad2":
					return fmt.Errorf("%w: %s", errDown, name)
				case "h-slow":
					time.Sleep(time.Second)
					assert.NoError(t, ctx.Err(), "not cancelled")
				}
				return nil
			}
			if step == "create" {
				a.onCreate = func(ctx context.Context, name string, _ config) error { return fail(ctx, name) }
			} else {
				a.onStart = fail
			}
			f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{
				Clients:    these("h-bad1", "h-bad2", "h-slow", "m", "l"),
				Priorities: priorities{"h-bad1": fxfactory.High, "h-bad2": fxfactory.High, "h-slow": fxfactory.High, "l": fxfactory.Low},
			})
			if step == "start" {
				require.NoError(t, err)
				err = f.Start(t.Context())
				assert.Zero(t, f.Len(), "the factory stays empty")
				_, getErr := f.Get("m")
				require.ErrorIs(t, getErr, fxfactory.ErrStopped)
				require.EqualError(t, getErr, `fxfactory: get http "m": the factory is stopped since its start failed`)
				require.ErrorIs(t, f.Start(t.Context()), fxfactory.ErrStopped)
				require.NoError(t, f.Stop(t.Context()))
			} else {
				assert.Nil(t, f)
			}
			require.EqualError(t, err, `fxfactory: `+step+` http "h-bad1": the server is down: h-bad1
fxfactory: `+step+` http "h-bad2": the server is down: h-bad2`)
			require.ErrorIs(t, err, errDown)
			assert.Zero(t, a.count(step+" m"))
			assert.Zero(t, a.count(step+" l"))
			a.balanced(t)
		}
	})
}

func TestF6_an_error_names_section_instance_and_position(t *testing.T) {
	t.Parallel()
	a := &account{onCreate: failingCreate("aaa", "default")}
	_, err := fromYAML(t, "http:\n  client: {url: a}\n  clients:\n    aaa: {url: b}\n", a.spec())
	assert.EqualError(t, err, `fxfactory: create http "aaa" (config.yaml:4:5): the server is down
fxfactory: create http "default" (config.yaml:2:3): the server is down`)
}

func TestF6_what_a_failed_startup_made_is_destroyed_within_a_budget_of_its_own(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []string{"create", "start"} {
			a := &account{}
			a.onDestroy = func(ctx context.Context, _ string) error {
				assert.NoError(t, ctx.Err(), "the startup's context has ended, this one has not")
				deadline, ok := ctx.Deadline()
				assert.True(t, ok)
				assert.InDelta(t, 15, time.Until(deadline).Seconds(), 1)
				time.Sleep(2 * time.Second)
				return nil
			}
			hang := func(ctx context.Context, name string) error {
				if name == "hangs" {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}
			if step == "create" {
				a.onCreate = func(ctx context.Context, name string, _ config) error { return hang(ctx, name) }
			} else {
				a.onStart = hang
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			f, err := fxfactory.New(ctx, "http", a.spec(), settings{Clients: these("a", "b", "hangs")})
			if step == "start" {
				require.NoError(t, err)
				err = f.Start(ctx)
			} else {
				require.Nil(t, f)
			}
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, `fxfactory: `+step+` http "hangs": context deadline exceeded`)
			assert.Empty(t, a.alive(), "destroyed when the failure is reported")
			a.balanced(t)
		}
	})
}

func TestF6_a_Create_or_Start_that_ignores_its_context_is_left_behind_and_cleaned_up_later(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []string{"create", "start"} {
			a := &account{}
			release := make(chan struct{})
			hang := func(name string) error {
				if name == "deaf" {
					<-release
				}
				return nil
			}
			if step == "create" {
				a.onCreate = func(_ context.Context, name string, _ config) error { return hang(name) }
			} else {
				a.onStart = func(_ context.Context, name string) error { return hang(name) }
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			begin := time.Now()
			f, err := fxfactory.New(ctx, "http", a.spec(), settings{Clients: these("a", "deaf"), Priorities: priorities{"deaf": fxfactory.High}}, quiet)
			if step == "start" {
				require.NoError(t, err)
				err = f.Start(ctx)
			}
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Less(t, time.Since(begin), 1200*time.Millisecond)
			assert.NotContains(t, a.alive(), "a")

			if step == "start" { // Stop waits for what is left, within its context
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.ErrorIs(t, f.Stop(ctx), context.DeadlineExceeded)
				assert.Equal(t, []string{"deaf"}, a.alive())
			}
			time.Sleep(time.Minute)
			close(release)
			synctest.Wait()
			a.balanced(t)
			if step == "start" {
				require.NoError(t, f.Stop(t.Context()))
			}
		}
	})
}

func TestF6_what_cannot_be_destroyed_is_part_of_the_error(t *testing.T) {
	t.Parallel()
	a := &account{onCreate: failingCreate("b"), onDestroy: failing("a")}
	_, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: these("a", "b")})
	require.EqualError(t, err, "fxfactory: create http \"b\": the server is down\nfxfactory: destroy http \"a\": the server is down")

	a = &account{onStart: failing("b"), onDestroy: failing("a")}
	f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: these("a", "b")})
	require.NoError(t, err)
	require.EqualError(t, f.Start(t.Context()), "fxfactory: start http \"b\": the server is down\nfxfactory: destroy http \"a\": the server is down")
	require.NoError(t, f.Stop(t.Context()))
}

func TestF6_a_Create_that_honours_its_context_can_say_what_it_waited_for(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wait := func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("%w: %w", errDown, ctx.Err())
		}
		a := &account{}
		a.onCreate = func(ctx context.Context, _ string, _ config) error { return wait(ctx) }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := fxfactory.New(ctx, "http", a.spec(), settings{Clients: these("a")})
		require.ErrorIs(t, err, errDown)

		a.onCreate, a.onStart = nil, func(ctx context.Context, _ string) error { return wait(ctx) }
		f := newFactory(t, a, settings{Clients: these("a")})
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, f.Start(ctx), errDown)
	})
}

func TestF6_a_startup_that_is_cancelled_begins_nothing_more(t *testing.T) {
	t.Parallel()
	for _, p := range []fxfactory.Priority{fxfactory.High, fxfactory.Medium, fxfactory.Low} {
		a := &account{}
		ctx, cancel := context.WithCancelCause(t.Context())
		a.onCreate = func(context.Context, string, config) error { cancel(errDown); return nil }
		f, err := fxfactory.New(ctx, "http", a.spec(), settings{
			Clients: these("a", "b", "c"), Priorities: priorities{"a": p, "b": p, "c": p},
		}, fxfactory.Concurrency(1), quiet)
		assert.Nil(t, f)
		require.ErrorIs(t, err, errDown, p)
		assert.Equal(t, 1, a.count("create a")+a.count("create b")+a.count("create c"))
		a.balanced(t)
		_, err = fxfactory.New(ctx, "http", a.spec(), settings{Clients: these("a")})
		require.ErrorIs(t, err, errDown, "one that was cancelled before")

		a = &account{}
		f = newFactory(t, a, settings{Clients: these("a", "b"), Priorities: priorities{"a": p, "b": p}})
		require.ErrorIs(t, f.Start(ctx), errDown)
		assert.Zero(t, a.count("start a"))
		assert.Empty(t, a.alive())
	}
}

func TestF5_a_configuration_error_is_fatal_at_any_priority(t *testing.T) {
	t.Parallel()
	for _, p := range []fxfactory.Priority{fxfactory.High, fxfactory.Medium, fxfactory.Low} {
		a := &account{}
		_, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: these("bad", "good"), Priorities: priorities{"bad": p}})
		require.ErrorIs(t, err, errBadURL)
		assert.Empty(t, a.all())
	}
}

func TestStart_twice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onStart: func(context.Context, string) error { time.Sleep(time.Second); return nil }}
		f := newFactory(t, a, settings{Clients: these("a")})
		go f.Start(t.Context()) //nolint:errcheck // the other one has the same outcome
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		require.ErrorIs(t, f.Start(ctx), context.DeadlineExceeded, "the second waits within its own context")
		cancel()
		require.NoError(t, f.Start(t.Context()))
		require.NoError(t, f.Start(t.Context()))
		assert.Equal(t, 1, a.count("start a"))
		require.NoError(t, f.Stop(t.Context()))
		require.ErrorIs(t, f.Start(t.Context()), fxfactory.ErrStopped)
	})
}

func TestStart_twice_gives_both_the_failure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onStart: func(context.Context, string) error { time.Sleep(time.Second); return errDown }}
		f := newFactory(t, a, settings{Clients: these("a")})
		first := make(chan error, 1)
		go func() { first <- f.Start(t.Context()) }()
		synctest.Wait()
		require.ErrorIs(t, f.Start(t.Context()), errDown)
		require.ErrorIs(t, <-first, errDown)
	})
}

func TestOptions_that_make_no_sense(t *testing.T) {
	t.Parallel()
	_, err := fxfactory.New(t.Context(), "http", spec{}, settings{},
		fxfactory.Concurrency(0), fxfactory.CreateTimeout(0), fxfactory.RetireAfter(-1), nil)
	assert.EqualError(t, err, strings.TrimSpace(`
fxfactory: new http: Concurrency(0): must be at least 1
CreateTimeout(0s): must be positive
RetireAfter(-1ns): must not be negative
an Option is nil`))
	_, err = fxfactory.New(t.Context(), "http", spec{}, settings{}, fxfactory.WithoutDefault())
	require.EqualError(t, err, `fxfactory: new http: WithoutDefault and Keys are options of Module`)
	_, err = fxfactory.New(t.Context(), "http", spec{}, settings{})
	require.EqualError(t, err, `fxfactory: new http: Spec.Create is nil`)

	f := newFactory(t, &account{}, settings{})
	_, err = f.Create(t.Context(), "a", nil, fxfactory.WithPriority(9), nil)
	require.EqualError(t, err, "fxfactory: create http \"a\": WithPriority(Priority(9)): one of High, Medium, Low\na CreateOption is nil")
}
