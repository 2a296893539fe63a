package fxfactory_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestF9_concurrent_callers_build_once(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onCreate: func(context.Context, string, config) error { time.Sleep(time.Second); return nil }}
		f := newFactory(t, a, settings{})
		var configured atomic.Int64
		got := make([]*client, 100)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				c, err := f.GetOrCreate(t.Context(), "x", func(c *config) { configured.Add(1); c.URL = strconv.Itoa(i) })
				assert.NoError(t, err)
				got[i] = c
			})
		}
		wg.Wait()
		assert.Equal(t, 1, a.count("create x"))
		assert.EqualValues(t, 1, configured.Load(), "the first caller's configure, and no other")
		for _, c := range got {
			require.Same(t, got[0], c)
		}
		assert.Equal(t, "0", got[0].config.URL)
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF9_a_Create_that_runs_is_joined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{onCreate: func(ctx context.Context, _ string, _ config) error {
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		f := newFactory(t, a, settings{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := f.Create(ctx, "x", nil)
			assert.ErrorIs(t, err, context.DeadlineExceeded, "it leaves at once, and the build goes on for the other")
		})
		synctest.Wait()
		_, err := f.GetOrCreate(t.Context(), "x", nil)
		require.NoError(t, err)
		wg.Wait()
		assert.Equal(t, 1, a.count("create x"))
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF9_a_failed_build_gives_all_its_error_and_the_next_call_tries_again(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		fail.Store(true)
		a := &account{onStart: func(context.Context, string) error {
			time.Sleep(time.Second)
			if fail.Load() {
				return errDown
			}
			return nil
		}}
		f := newFactory(t, a, settings{})
		require.NoError(t, f.Start(t.Context()))
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				c, err := f.GetOrCreate(t.Context(), "x", nil)
				assert.Nil(t, c)
				assert.EqualError(t, err, `fxfactory: get or create http "x": the server is down`)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, a.count("create x"))
		assert.Empty(t, a.alive())
		assert.Zero(t, f.Len())
		fail.Store(false)
		_, err := f.GetOrCreate(t.Context(), "x", nil)
		require.NoError(t, err)
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF9_the_build_is_cancelled_when_no_caller_is_left_and_never_joined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var builds atomic.Int64
		cancelled := make(chan error, 1)
		release := make(chan struct{})
		a := &account{onCreate: func(ctx context.Context, _ string, _ config) error {
			if builds.Add(1) > 1 {
				return nil
			}
			assert.Equal(t, "first", ctx.Value(key{}), "the first caller's values")
			<-ctx.Done()
			cancelled <- context.Cause(ctx)
			<-release
			return nil // an instance all the same
		}}
		f := newFactory(t, a, settings{})
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "first"), time.Duration(i+1)*time.Second)
				defer cancel()
				begin := time.Now()
				_, err := f.GetOrCreate(ctx, "x", nil)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, time.Duration(i+1)*time.Second, time.Since(begin), "each leaves at once")
			})
		}
		time.Sleep(2500 * time.Millisecond)
		assert.Empty(t, cancelled, "one is left")
		wg.Wait()
		synctest.Wait()
		assert.Len(t, cancelled, 1)

		// The abandoned build still runs. A new call has one of its own, of either kind.
		got, err := f.Create(t.Context(), "x", nil)
		require.NoError(t, err)
		close(release)
		synctest.Wait()
		now, err := f.Get("x")
		require.NoError(t, err)
		assert.Same(t, got, now)
		assert.Equal(t, []string{"x"}, a.alive(), "what the abandoned build yielded is destroyed")
		require.NoError(t, f.Stop(t.Context()))
	})
}

func TestF9_a_context_that_has_ended_builds_nothing_but_finds_what_there_is(t *testing.T) {
	t.Parallel()
	a := &account{}
	f := newFactory(t, a, settings{Clients: these("a")})
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := f.GetOrCreate(ctx, "a", nil)
	require.NoError(t, err)
	_, err = f.GetOrCreate(ctx, "x", nil)
	require.ErrorIs(t, err, cause)
	_, err = f.Create(ctx, "x", nil)
	require.ErrorIs(t, err, cause)
	_, err = f.Replace(ctx, "a", nil)
	require.ErrorIs(t, err, cause)
	_, _, err = f.Open(ctx, nil)
	require.ErrorIs(t, err, cause)
	assert.Equal(t, []string{"create a"}, a.all())
}

// The last caller leaves in the very moment in which the build succeeds: either it gets the instance, or nobody ever does.
func TestF9_leaving_and_landing_at_the_same_time(t *testing.T) {
	t.Parallel()
	var cancel context.CancelFunc
	a := &account{onCreate: func(_ context.Context, name string, _ config) error {
		if name == "x" {
			cancel()
		}
		return nil
	}}
	all := clients{}
	for i := range 500 {
		all[strconv.Itoa(i)] = nil
	}
	f := newFactory(t, a, settings{Clients: all})
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() { // the lock is seldom free, so both wait for it, and either may be first
		for {
			select {
			case <-stop:
				return
			default:
				f.Stats()
			}
		}
	})
	defer busy.Wait()
	defer close(stop)
	for range 100 {
		var ctx context.Context
		ctx, cancel = context.WithCancel(t.Context())
		got, err := f.GetOrCreate(ctx, "x", nil)
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.False(t, f.Has("x"))
			continue
		}
		now, err := f.Get("x")
		require.NoError(t, err)
		require.Same(t, got, now)
		require.NoError(t, f.Remove(t.Context(), "x"))
	}
}
