package fxfactory_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxfactory"
)

func TestF8_Create_fills_from_the_defaults_and_refuses_a_name_that_is_taken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onCreate: func(_ context.Context, name string, _ config) error {
			if name == "slow" {
				time.Sleep(time.Second)
			}
			return nil
		}}
		f := newFactory(t, a, settings{Default: func(c *config) { c.Timeout = time.Minute }, Clients: these("a")})
		got, err := f.Create(t.Context(), "b", func(c *config) { c.URL = c.Timeout.String() }, fxfactory.WithPriority(fxfactory.High))
		require.NoError(t, err)
		assert.Equal(t, config{URL: "1m0s", Timeout: time.Minute}, got.config)
		assert.Equal(t, fxfactory.High, f.Priority("b"))

		_, err = f.Create(t.Context(), "a", func(*config) { t.Error("not configured") })
		require.ErrorIs(t, err, fxfactory.ErrExists)
		require.EqualError(t, err, `fxfactory: create http "a": the instance exists`)
		go f.Create(t.Context(), "slow", nil) //nolint:errcheck // seen below
		synctest.Wait()
		_, err = f.Create(t.Context(), "slow", nil)
		require.ErrorIs(t, err, fxfactory.ErrExists, "being built")
		_, err = f.Get("slow")
		require.ErrorIs(t, err, fxfactory.ErrNotFound)
		require.ErrorIs(t, f.Remove(t.Context(), "slow"), fxfactory.ErrNotFound)
		_, err = f.Replace(t.Context(), "slow", nil)
		require.ErrorIs(t, err, fxfactory.ErrNotFound)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.True(t, f.Has("slow"))
		assert.Equal(t, 1, a.count("create slow"), "nothing else was built")

		for _, get := range []func(context.Context, string, func(*config), ...fxfactory.CreateOption) (*client, error){f.Create, f.GetOrCreate} {
			_, err = get(t.Context(), "", nil)
			require.ErrorContains(t, err, "an instance needs a name; Open makes one without")
		}
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF8_once_started_an_instance_is_published_only_after_its_start(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onStart: func(_ context.Context, name string) error {
			if name != "early" {
				time.Sleep(time.Second)
			}
			return nil
		}}
		f := newFactory(t, a, settings{})
		early, err := f.Create(t.Context(), "early", nil)
		require.NoError(t, err)
		assert.Zero(t, early.starts, "before the factory's start there is none of it")
		require.NoError(t, f.Start(t.Context()))
		assert.Equal(t, 1, early.starts)

		go f.Create(t.Context(), "late", nil) //nolint:errcheck // seen below
		synctest.Wait()
		assert.Equal(t, 1, a.count("start late"))
		assert.False(t, f.Has("late"), "not before its start is through")
		late, err := f.GetOrCreate(t.Context(), "late", nil)
		require.NoError(t, err)
		assert.Equal(t, 1, late.starts)
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF8_what_is_created_while_the_factory_starts_is_started_once(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{
			onCreate: func(_ context.Context, name string, _ config) error {
				if name == "across" {
					time.Sleep(2 * time.Second) // begun before the factory's start, through in its midst
				}
				return nil
			},
			onStart: func(context.Context, string) error { time.Sleep(3 * time.Second); return nil },
		}
		f := newFactory(t, a, settings{Clients: these("a")})
		var wg sync.WaitGroup
		wg.Go(func() { _, err := f.Create(t.Context(), "across", nil); assert.NoError(t, err) })
		wg.Go(func() { time.Sleep(time.Second); assert.NoError(t, f.Start(t.Context())) })
		wg.Go(func() {
			time.Sleep(1500 * time.Millisecond)
			_, err := f.Create(t.Context(), "amid", nil)
			assert.NoError(t, err)
		})
		wg.Wait()
		for _, name := range []string{"a", "across", "amid"} {
			assert.Equal(t, 1, a.count("start "+name), name)
		}
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF8_a_failed_Create_leaves_nothing_behind(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"configure", "create", "start"} {
		a := &account{}
		f := newFactory(t, a, settings{})
		require.NoError(t, f.Start(t.Context()))
		var fail atomic.Bool
		fail.Store(true)
		try := func(want string) error {
			if fail.Load() && step == want {
				return errDown
			}
			return nil
		}
		a.onCreate = func(context.Context, string, config) error { return try("create") }
		a.onStart = func(context.Context, string) error { return try("start") }
		configure := func(*config) {
			if err := try("configure"); err != nil {
				panic(err)
			}
		}
		_, err := f.Create(t.Context(), "x", configure)
		require.ErrorIs(t, err, errDown)
		assert.ErrorContains(t, err, `fxfactory: create http "x": `)
		assert.Empty(t, a.alive(), "destroyed before the error is returned")
		assert.Zero(t, f.Len())
		fail.Store(false)
		_, err = f.Create(t.Context(), "x", configure)
		require.NoError(t, err, "the name is free")
	}
}

func TestF8_the_context_of_Create_ends_when_it_returns(t *testing.T) {
	t.Parallel()
	var kept context.Context
	a := &account{onCreate: func(ctx context.Context, _ string, _ config) error { kept = ctx; return nil }}
	newFactory(t, a, settings{Clients: these("a")})
	assert.Error(t, kept.Err())
}

func TestF8_Open_makes_one_without_a_name(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{}
		f := newFactory(t, a, settings{Default: func(c *config) { c.Timeout = time.Second }})
		early, _, err := f.Open(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, f.Start(t.Context()))
		assert.Equal(t, 1, early.starts, "what was open before is started, too")
		got, stop, err := f.Open(t.Context(), func(c *config) { c.URL = "x" })
		require.NoError(t, err)
		assert.Equal(t, 1, got.starts)
		assert.Equal(t, config{URL: "x", Timeout: time.Second}, got.config)
		assert.Empty(t, got.name)
		assert.Zero(t, f.Len())
		assert.Empty(t, f.Check(t.Context()))
		require.NoError(t, stop(t.Context()))
		assert.True(t, got.dead())
		require.NoError(t, stop(t.Context()), "closing again does nothing")

		_, left, err := f.Open(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, f.Stop(t.Context()))
		assert.Empty(t, a.alive(), "Stop destroys what is open")
		require.NoError(t, left(t.Context()))
		_, _, err = f.Open(t.Context(), nil)
		require.ErrorIs(t, err, fxfactory.ErrStopped)
	})
}

func TestF8_Open_fails_like_Create(t *testing.T) {
	t.Parallel()
	a := &account{onStart: func(context.Context, string) error { return errDown }}
	f := newFactory(t, a, settings{})
	require.NoError(t, f.Start(t.Context()))
	_, stop, err := f.Open(t.Context(), nil)
	require.EqualError(t, err, "fxfactory: open http: the server is down")
	assert.Nil(t, stop)
	assert.Empty(t, a.alive())
	_, _, err = f.Open(t.Context(), func(c *config) { c.URL = "bad" })
	require.ErrorIs(t, err, errBadURL)

	a.onDestroy, a.onStart = func(context.Context, string) error { return errDown }, nil
	_, stop, err = f.Open(t.Context(), nil)
	require.NoError(t, err)
	require.EqualError(t, stop(t.Context()), "fxfactory: close http: the server is down")
	require.NoError(t, stop(t.Context()))
}

func TestCreateTimeout_bounds_one_Create(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := &account{onCreate: func(ctx context.Context, name string, _ config) error {
			if name == "deaf" {
				<-release
				return nil
			}
			<-ctx.Done()
			return errors.Join(errDown, context.Cause(ctx))
		}}
		f := newFactory(t, a, settings{}, fxfactory.CreateTimeout(time.Second))
		begin := time.Now()
		_, err := f.Create(t.Context(), "honours", nil)
		require.ErrorIs(t, err, errDown, "its own words")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "took longer than 1s (CreateTimeout)")
		assert.Equal(t, time.Second, time.Since(begin))

		begin = time.Now()
		_, err = f.Create(t.Context(), "deaf", nil)
		require.ErrorContains(t, err, "took longer than 1s (CreateTimeout)")
		assert.Equal(t, 1100*time.Millisecond, time.Since(begin))
		close(release)
		synctest.Wait()
		assert.Empty(t, a.alive(), "what came too late is destroyed")
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF12_a_panic_is_an_error_with_its_stack_and_the_instance(t *testing.T) {
	t.Parallel()
	boom := func(step, name, at string) error {
		if step == at {
			panic("boom in " + at + " of " + name)
		}
		return nil
	}
	build := func(t *testing.T, step string) (*account, *factory, error) {
		a := &account{
			onCreate:  func(_ context.Context, name string, _ config) error { return boom(step, name, "create") },
			onStart:   func(_ context.Context, name string) error { return boom(step, name, "start") },
			onCheck:   func(_ context.Context, name string) error { return boom(step, name, "check") },
			onDestroy: func(_ context.Context, name string) error { return boom(step, name, "destroy") },
		}
		f, err := fxfactory.New(t.Context(), "http", a.spec(), settings{Clients: these("a")}, quiet)
		return a, f, err
	}
	check := func(t *testing.T, step string, err error) {
		t.Helper()
		require.ErrorContains(t, err, `fxfactory: `+step+` http "a": panic: boom in `+step+` of a`)
		assert.ErrorContains(t, err, "create_test.go:", "the stack is there")
	}
	a, _, err := build(t, "create")
	check(t, "create", err)
	a.balanced(t)

	a, f, err := build(t, "start")
	require.NoError(t, err)
	check(t, "start", f.Start(t.Context()))
	a.balanced(t)

	_, f, err = build(t, "check")
	require.NoError(t, err)
	check(t, "check", f.Check(t.Context())[0].Err)
	require.NoError(t, f.Stop(t.Context()))

	a, f, err = build(t, "destroy")
	require.NoError(t, err)
	check(t, "destroy", f.Stop(t.Context()))
	a.balanced(t)
}

func TestF13_a_nil_instance_without_an_error_is_an_error(t *testing.T) {
	t.Parallel()
	_, err := fxfactory.New(t.Context(), "http", spec{
		Create: func(context.Context, string, config) (*client, error) { return nil, nil },
	}, settings{Clients: these("a")})
	require.EqualError(t, err, `fxfactory: create http "a": Create returned nil and no error`)

	for _, value := range []error{nil, (*nilError)(nil)} {
		_, err = fxfactory.New(t.Context(), "http", fxfactory.Spec[error, config]{
			Create: func(context.Context, string, config) (error, error) { return value, nil },
		}, settings{Clients: these("a")})
		require.ErrorContains(t, err, "Create returned nil and no error")
	}

	f, err := fxfactory.New(t.Context(), "http", fxfactory.Spec[int, config]{
		Create: func(context.Context, string, config) (int, error) { return 0, nil },
	}, settings{Clients: these("a")})
	require.NoError(t, err, "a zero that is no nil is an instance")
	require.NoError(t, f.Stop(t.Context()))
}

type nilError struct{}

func (*nilError) Error() string { return "" }
