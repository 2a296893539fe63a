package fxfactory_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxfactory"
)

func TestF11_Stop_joins_every_error_and_names_the_instance(t *testing.T) {
	t.Parallel()
	a := &account{onDestroy: failing("a", "c")}
	f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: these("a", "b", "c")})
	require.NoError(t, err)
	err = f.Stop(t.Context())
	require.EqualError(t, err, "fxfactory: destroy http \"a\": the server is down\nfxfactory: destroy http \"c\": the server is down")
	require.ErrorIs(t, err, errDown)
	a.balanced(t)
	require.NoError(t, f.Stop(t.Context()), "a second Stop is nil")
	assert.Equal(t, 1, a.count("destroy a"))
}

func TestF11_after_Stop_there_is_nothing(t *testing.T) {
	t.Parallel()
	f := newFactory(t, &account{}, settings{Clients: these("a")})
	require.NoError(t, f.Stop(t.Context()))
	assert.Zero(t, f.Len())
	assert.Empty(t, f.Names())
	assert.False(t, f.Has("a"))
	for range f.All() {
		t.Error("All has something")
	}
	assert.Empty(t, f.Check(t.Context()))
	_, get := f.Get("a")
	_, byDefault := f.Default()
	_, cfg := f.Config("a")
	_, create := f.Create(t.Context(), "a", nil)
	_, getOrCreate := f.GetOrCreate(t.Context(), "a", nil)
	_, replace := f.Replace(t.Context(), "a", nil)
	_, _, open := f.Open(t.Context(), nil)
	for what, err := range map[string]error{
		"get": get, "default": byDefault, "config": cfg, "create": create, "get or create": getOrCreate,
		"replace": replace, "open": open, "remove": f.Remove(t.Context(), "a"), "start": f.Start(t.Context()),
	} {
		assert.ErrorIs(t, err, fxfactory.ErrStopped, what)
		assert.NotErrorIs(t, err, fxfactory.ErrNotFound, what)
	}

	none := newFactory(t, &account{}, settings{})
	require.NoError(t, none.Stop(t.Context()))
	_, err := none.Default()
	assert.ErrorIs(t, err, fxfactory.ErrStopped)
}

func TestF11_a_second_Stop_waits_for_the_first(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onDestroy: func(context.Context, string) error { time.Sleep(time.Second); return errDown }}
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: these("a")})
		require.NoError(t, err)
		first := make(chan error, 1)
		go func() { first <- f.Stop(t.Context()) }()
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err = f.Stop(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "within its own context")
		require.EqualError(t, err, `fxfactory: stop http: still running: destroy "a": context deadline exceeded`)
		require.NoError(t, f.Stop(t.Context()))
		assert.Equal(t, time.Second, time.Since(begin))
		require.ErrorIs(t, <-first, errDown)
	})
}

func TestF11_builds_that_run_are_cancelled_and_what_they_yield_is_destroyed(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"create", "start"} {
		synctest.Test(t, func(t *testing.T) {
			hold := func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second)
				return nil // all the same
			}
			a := &account{}
			f := newFactory(t, a, settings{Clients: these("a")})
			require.NoError(t, f.Start(t.Context()))
			if step == "create" {
				a.onCreate = func(ctx context.Context, _ string, _ config) error { return hold(ctx) }
			} else {
				a.onStart = func(ctx context.Context, _ string) error { return hold(ctx) }
			}
			errs := make(chan error, 4)
			go func() { _, err := f.Create(t.Context(), "x", nil); errs <- err }()
			go func() { _, err := f.GetOrCreate(t.Context(), "y", nil); errs <- err }()
			go func() { _, err := f.Replace(t.Context(), "a", nil); errs <- err }()
			go func() { _, _, err := f.Open(t.Context(), nil); errs <- err }()
			synctest.Wait()
			begin := time.Now()
			require.NoError(t, f.Stop(t.Context()))
			assert.Equal(t, time.Second, time.Since(begin), "Stop waits until what they yield is destroyed")
			assert.Empty(t, a.alive())
			for range 4 {
				require.ErrorIs(t, <-errs, fxfactory.ErrStopped)
			}
		})
	}
}

func TestF11_a_build_that_honours_its_context_is_ErrStopped_too(t *testing.T) {
	t.Parallel()
	for range 100 {
		building := make(chan struct{}, 3)
		a := &account{}
		f := newFactory(t, a, settings{Clients: these("a")})
		a.onCreate = func(ctx context.Context, _ string, _ config) error {
			building <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		errs := make(chan error, 3)
		go func() { _, err := f.Create(t.Context(), "x", nil); errs <- err }()
		go func() { _, err := f.Replace(t.Context(), "a", nil); errs <- err }()
		go func() { _, _, err := f.Open(t.Context(), nil); errs <- err }()
		for range 3 {
			<-building
		}
		require.NoError(t, f.Stop(t.Context()))
		for range 3 {
			require.ErrorIs(t, <-errs, fxfactory.ErrStopped)
		}
	}
}

func TestF11_Stop_returns_when_its_context_ends_and_names_what_still_runs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := &account{onDestroy: func(_ context.Context, name string) error {
			if name == "deaf" {
				<-release
			}
			return nil
		}}
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{
			Clients: these("a", "b", "deaf"), Priorities: priorities{"deaf": fxfactory.Low, "b": fxfactory.High},
		}, quiet)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		begin := time.Now()
		err = f.Stop(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `fxfactory: destroy http "deaf": `)
		require.ErrorContains(t, err, `fxfactory: stop http: still running: destroy "deaf": `)
		assert.Equal(t, 9*time.Second, time.Since(begin))
		assert.Empty(t, a.alive(), "the others had their share")
		close(release)
		require.NoError(t, f.Stop(t.Context()))
		a.balanced(t)
	})
}

func TestF11_each_priority_has_a_share_of_the_time(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := map[string]time.Duration{}
		var mu sync.Mutex
		begin := time.Now()
		a := &account{onDestroy: func(ctx context.Context, name string) error {
			mu.Lock()
			began[name] = time.Since(begin)
			mu.Unlock()
			<-ctx.Done()
			return ctx.Err()
		}}
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{
			Clients: these("h", "l1", "l2", "m"), Priorities: priorities{"h": fxfactory.High, "l1": fxfactory.Low, "l2": fxfactory.Low},
		}, fxfactory.Concurrency(1))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		begin = time.Now()
		require.ErrorIs(t, f.Stop(ctx), context.DeadlineExceeded)
		assert.Less(t, time.Since(begin), 9*time.Second, "all honour their contexts")
		first, second := began["l1"], began["l2"]
		assert.Zero(t, min(first, second))
		assert.InDelta(t, 1.5, max(first, second).Seconds(), 0.2, "two rounds in the first third")
		assert.InDelta(t, 3, began["m"].Seconds(), 0.3)
		assert.InDelta(t, 6, began["h"].Seconds(), 0.5)
		a.balanced(t)
	})
}

func TestF11_Stop_with_a_context_that_has_ended_destroys_all_the_same(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onDestroy: func(ctx context.Context, _ string) error {
			assert.NoError(t, ctx.Err(), "with time of its own")
			time.Sleep(time.Second)
			return errDown
		}}
		all := clients{}
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			all[name] = nil
		}
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: all}, fxfactory.Concurrency(2), quiet)
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("in a hurry")
		cancel(cause)
		require.ErrorIs(t, f.Stop(ctx), cause)
		require.NoError(t, f.Stop(t.Context()))
		a.balanced(t)
	})
}

func TestF11_without_a_deadline_Stop_ends_all_the_same(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := &account{onDestroy: func(context.Context, string) error { <-release; return nil }}
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: these("deaf")}, quiet)
		require.NoError(t, err)
		begin := time.Now()
		require.ErrorIs(t, f.Stop(context.Background()), context.DeadlineExceeded)
		assert.Equal(t, 45*time.Second, time.Since(begin))
		close(release)
		require.NoError(t, f.Stop(context.Background()))
		a.balanced(t)
	})
}

func TestF11_Stop_during_Start(t *testing.T) {
	t.Parallel()
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := &account{onStart: func(ctx context.Context, name string) error {
				if deaf {
					time.Sleep(5 * time.Second)
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}}
			f := newFactory(t, a, settings{
				Clients: these("h", "l", "m"), Priorities: priorities{"h": fxfactory.High, "l": fxfactory.Low},
			})
			started := make(chan error, 1)
			go func() { started <- f.Start(t.Context()) }()
			time.Sleep(time.Second)
			require.NoError(t, f.Stop(t.Context()), "Destroy waits for a running Start")
			require.ErrorIs(t, <-started, fxfactory.ErrStopped)
			a.balanced(t)
			assert.Zero(t, a.count("start m"))
		})
	}
}

func TestF11_Destroy_waits_for_a_running_Start_within_its_context(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := &account{onStart: func(context.Context, string) error { <-release; return nil }}
		f := newFactory(t, a, settings{Clients: these("a")})
		go f.Start(t.Context()) //nolint:errcheck // it is stopped
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		require.ErrorIs(t, f.Remove(ctx, "a"), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begin))
		assert.Zero(t, a.count("destroy a"))
		close(release)
		synctest.Wait()
		a.balanced(t)
		require.NoError(t, f.Stop(t.Context()))
	})
}
