package fxfactory_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxfactory"
)

func TestF10_Replace_swaps_and_destroys_the_old_one_after_its_grace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onCreate: func(context.Context, string, config) error { time.Sleep(time.Second); return nil }}
		f := newFactory(t, a, settings{
			Default: func(c *config) { c.Timeout = time.Minute }, Clients: these("a"), Priorities: priorities{"a": fxfactory.High},
		}, fxfactory.RetireAfter(10*time.Second))
		require.NoError(t, f.Start(t.Context()))
		old, err := f.Get("a")
		require.NoError(t, err)
		var replaced *client
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			replaced, err = f.Replace(t.Context(), "a", func(c *config) { c.URL += "+" })
			assert.NoError(t, err)
		})
		synctest.Wait()
		during, err := f.Get("a")
		require.NoError(t, err)
		assert.Same(t, old, during, "the old one serves while the new one is built")
		wg.Wait()
		now, err := f.Get("a")
		require.NoError(t, err)
		assert.Same(t, replaced, now)
		assert.Equal(t, 1, now.starts)
		assert.Equal(t, config{URL: "a+", Timeout: time.Minute}, now.config, "the present configuration, changed")
		cfg, err := f.Config("a")
		require.NoError(t, err)
		assert.Equal(t, "a+", cfg.URL)
		assert.Equal(t, fxfactory.High, f.Priority("a"))
		assert.Equal(t, 1, f.Len())

		time.Sleep(9 * time.Second)
		old.use()
		assert.False(t, old.dead(), "in its grace")
		time.Sleep(time.Second)
		synctest.Wait()
		assert.True(t, old.dead())
		assert.False(t, now.dead())
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF10_Stop_does_not_wait_for_the_grace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{}
		f := newFactory(t, a, settings{Clients: these("a")}, fxfactory.RetireAfter(time.Hour))
		_, err := f.Replace(t.Context(), "a", nil)
		require.NoError(t, err)
		begin := time.Now()
		require.NoError(t, f.Stop(t.Context()))
		assert.Zero(t, time.Since(begin))
		assert.Equal(t, 2, a.count("destroy a"))
		time.Sleep(2 * time.Hour)
		a.balanced(t)
	})
}

func TestF10_a_failed_Replace_leaves_the_old_one(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"create", "start"} {
		a := &account{}
		f := newFactory(t, a, settings{Clients: these("a")})
		require.NoError(t, f.Start(t.Context()))
		if step == "create" {
			a.onCreate = failingCreate("a")
		} else {
			a.onStart = failing("a")
		}
		old, err := f.Get("a")
		require.NoError(t, err)
		_, err = f.Replace(t.Context(), "a", func(c *config) { c.URL = "new" })
		require.EqualError(t, err, `fxfactory: replace http "a": the server is down`)
		now, err := f.Get("a")
		require.NoError(t, err)
		assert.Same(t, old, now)
		now.use()
		cfg, err := f.Config("a")
		require.NoError(t, err)
		assert.Equal(t, "a", cfg.URL)
		assert.Equal(t, []string{"a"}, a.alive())
	}
}

func TestF10_unknown_names(t *testing.T) {
	t.Parallel()
	f := newFactory(t, &account{}, settings{Clients: these("main")})
	_, err := f.Replace(t.Context(), "mian", nil)
	require.EqualError(t, err, `fxfactory: replace http "mian": no such instance (did you mean "main"?); known: "main"`)
	require.ErrorIs(t, err, fxfactory.ErrNotFound)
	err = f.Remove(t.Context(), "mian")
	require.EqualError(t, err, `fxfactory: remove http "mian": no such instance (did you mean "main"?); known: "main"`)
	require.ErrorIs(t, err, fxfactory.ErrNotFound)
}

func TestF10_a_name_that_is_removed_during_Replace_is_not_found(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var slow atomic.Bool
			a := &account{onCreate: func(context.Context, string, config) error {
				if slow.Load() {
					time.Sleep(time.Second)
				}
				return nil
			}}
			f := newFactory(t, a, settings{Clients: these("a")})
			slow.Store(true)
			done := make(chan error, 1)
			go func() { _, err := f.Replace(t.Context(), "a", nil); done <- err }()
			synctest.Wait()
			require.NoError(t, f.Remove(t.Context(), "a"))
			slow.Store(false)
			want := 0
			if again { // the name is taken again, by another instance
				_, err := f.Create(t.Context(), "a", nil)
				require.NoError(t, err)
				want = 1
			}
			require.ErrorIs(t, <-done, fxfactory.ErrNotFound)
			assert.Len(t, a.alive(), want, "the new one is destroyed")
			require.NoError(t, f.Stop(t.Context()))
		})
	}
}

func TestF10_Remove_destroys_at_once_and_frees_the_name(t *testing.T) {
	t.Parallel()
	a := &account{}
	f := newFactory(t, a, settings{Clients: these("a")})
	old, err := f.Get("a")
	require.NoError(t, err)
	require.NoError(t, f.Remove(t.Context(), "a"))
	assert.True(t, old.dead())
	assert.False(t, f.Has("a"))
	assert.Equal(t, fxfactory.Medium, f.Priority("a"))
	_, err = f.Config("a")
	require.ErrorIs(t, err, fxfactory.ErrNotFound)
	_, err = f.Create(t.Context(), "a", nil)
	require.NoError(t, err)

	a.onDestroy = func(context.Context, string) error { return errDown }
	require.EqualError(t, f.Remove(t.Context(), "a"), `fxfactory: remove http "a": the server is down`)
	assert.False(t, f.Has("a"), "gone all the same")
}

func TestF10_Remove_returns_when_its_context_ends_and_the_rest_goes_on(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onDestroy: func(ctx context.Context, name string) error {
			if name == "b" {
				assert.NoError(t, ctx.Err(), "it has time of its own")
			}
			time.Sleep(30 * time.Second)
			return nil
		}}
		f := newFactory(t, a, settings{Clients: these("a", "b")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, f.Remove(ctx, "a"), context.DeadlineExceeded)
		assert.False(t, f.Has("a"))
		require.ErrorIs(t, f.Remove(ctx, "b"), context.DeadlineExceeded, "also with a context that had ended before")
		synctest.Wait()
		assert.Equal(t, 1, a.count("destroy b"))
		begin := time.Now()
		require.NoError(t, f.Stop(context.Background()), "Stop waits for what others have begun to destroy")
		assert.Equal(t, 30*time.Second, time.Since(begin))
	})
}

func TestF10_a_High_instance_that_is_removed_or_replaced_while_it_starts_does_not_fail_the_start(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"remove", "replace"} {
		synctest.Test(t, func(t *testing.T) {
			var first atomic.Bool
			a := &account{onStart: func(ctx context.Context, name string) error {
				if name == "a" && !first.Swap(true) {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(5 * time.Second):
						return errDown
					}
				}
				return nil
			}}
			f := newFactory(t, a, settings{Clients: these("a", "b"), Priorities: priorities{"a": fxfactory.High}}, fxfactory.RetireAfter(time.Minute))
			done := make(chan error, 1)
			go func() { done <- f.Start(t.Context()) }()
			synctest.Wait()
			if what == "remove" {
				require.NoError(t, f.Remove(t.Context(), "a"))
			} else {
				_, err := f.Replace(t.Context(), "a", nil)
				require.NoError(t, err)
			}
			require.NoError(t, <-done)
			assert.Equal(t, what == "replace", f.Has("a"))
			assert.True(t, f.Has("b"))
			require.NoError(t, f.Stop(t.Context()))
		})
	}
}

func TestF10_Replace_before_the_start_is_started_with_the_rest(t *testing.T) {
	t.Parallel()
	a := &account{}
	f := newFactory(t, a, settings{Clients: these("a")}, fxfactory.RetireAfter(time.Hour))
	replaced, err := f.Replace(t.Context(), "a", nil)
	require.NoError(t, err)
	require.NoError(t, f.Start(t.Context()))
	assert.Equal(t, 1, replaced.starts)
	assert.Equal(t, 1, a.count("start a"), "the old one has no start any more")
}

// Readers get a usable instance or ErrNotFound, whatever happens to the name meanwhile.
func TestF10_readers_never_get_a_closed_instance(t *testing.T) {
	t.Parallel()
	a := &account{}
	f := newFactory(t, a, settings{Clients: these("a", "b")}, fxfactory.RetireAfter(time.Minute))
	require.NoError(t, f.Start(t.Context()))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	var reads atomic.Int64
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := f.Get("a")
				if assert.NoError(t, err, "a is replaced, and always there") {
					c.use()
				}
				if _, err := f.Get("b"); err != nil {
					assert.ErrorIs(t, err, fxfactory.ErrNotFound)
				}
				reads.Add(1)
			}
		})
	}
	for i := 0; i < 100 || reads.Load() < 100; i++ {
		_, err := f.Replace(t.Context(), "a", nil)
		require.NoError(t, err)
		if i%2 == 0 {
			require.NoError(t, f.Remove(t.Context(), "b"))
		} else {
			_, err := f.Create(t.Context(), "b", nil)
			require.NoError(t, err)
		}
	}
	close(stop)
	readers.Wait()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := &account{onCheck: func(ctx context.Context, name string) error {
			switch name {
			case "deaf":
				<-release
			case "sick":
				return errDown
			case "slow":
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		}}
		f := newFactory(t, a, settings{
			Clients: these("deaf", "sick", "slow", "well"), Priorities: priorities{"sick": fxfactory.Low, "well": fxfactory.High},
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		health := f.Check(ctx)
		assert.Equal(t, time.Second, time.Since(begin), "F11: it returns when ctx ends")
		require.Len(t, health, 4)
		assert.Equal(t, "deaf", health[0].Name)
		require.ErrorIs(t, health[0].Err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, health[0].Latency)
		assert.Equal(t, fxfactory.Low, health[1].Priority)
		require.EqualError(t, health[1].Err, `fxfactory: check http "sick": the server is down`)
		assert.Equal(t, fxfactory.Health{Name: "slow", Latency: 300 * time.Millisecond}, health[2])
		assert.Equal(t, fxfactory.Health{Name: "well", Priority: fxfactory.High}, health[3])

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		again := f.Check(ctx)
		require.ErrorContains(t, again[0].Err, "an earlier check has not returned yet")
		assert.Equal(t, 2, a.count("check slow"))
		assert.Equal(t, 1, a.count("check deaf"), "no second one is stuck beside the first")

		// A Check that runs holds up the destruction of its instance, and is told.
		done := make(chan error, 1)
		go func() { done <- f.Remove(t.Context(), "deaf") }()
		synctest.Wait()
		assert.Zero(t, a.count("destroy deaf"))
		assert.Empty(t, done)
		close(release)
		require.NoError(t, <-done)
		require.NoError(t, f.Stop(t.Context()))
		assert.Empty(t, f.Check(t.Context()))
	})
}

func TestCheck_leaves_out_what_is_removed_meanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onCheck: func(ctx context.Context, _ string) error { <-ctx.Done(); return context.Cause(ctx) }}
		f := newFactory(t, a, settings{Clients: these("a")})
		report := make(chan []fxfactory.Health, 1)
		go func() { report <- f.Check(t.Context()) }()
		synctest.Wait()
		require.NoError(t, f.Remove(t.Context(), "a"))
		assert.Empty(t, <-report)
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestA_spec_with_Create_alone_is_enough(t *testing.T) {
	t.Parallel()
	f, err := fxfactory.New(t.Context(), "http", spec{
		Create: func(context.Context, string, config) (*client, error) { return &client{}, nil },
	}, settings{Clients: clients{"a": nil}})
	require.NoError(t, err)
	require.NoError(t, f.Start(t.Context()))
	assert.Equal(t, []fxfactory.Health{{Name: "a"}}, f.Check(t.Context()))
	_, err = f.Replace(t.Context(), "a", nil)
	require.NoError(t, err)
	require.NoError(t, f.Stop(t.Context()))
}
