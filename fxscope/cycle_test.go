package fxscope_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxscope"
)

// What constructors get at run time, so that no plan can see the cycle.
type (
	left  struct{ _ int }
	right struct{ _ int }
	third struct{ _ int }
)

func get[T any](ctx context.Context) error {
	_, err := fxscope.Get[T](ctx)
	return err
}

func TestS5_a_cycle_at_run_time_from_one_goroutine(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Provide(
		func(ctx context.Context) (*left, error) { return &left{}, get[*right](ctx) },
		func(ctx context.Context) (*right, error) { return &right{}, get[*left](ctx) },
	))
	ctx, sc := scopes.Begin(t.Context())
	for range 2 {
		_, err := fxscope.Get[*left](ctx)
		require.Error(t, err)
		assert.Regexp(t, `^fxscope: get \*fxscope_test\.left, which wanted \*fxscope_test\.right, which wanted \*fxscope_test\.left: cycle at run time: `+
			`\*fxscope_test\.left from \S+ \(/.*cycle_test\.go:\d+\), which wants \*fxscope_test\.right from \S+ \(/.*cycle_test\.go:\d+\), which wants \*fxscope_test\.left$`, err.Error())
	}
	assert.NoError(t, sc.End(ctx))
}

func TestS5_a_constructor_that_gets_itself(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Provide(func(ctx context.Context) (*left, error) { return &left{}, get[*left](ctx) }))
	assert.ErrorContains(t, scopes.Run(t.Context(), get[*left]), "cycle at run time: *fxscope_test.left from")
}

func TestS5_a_cycle_through_a_hook(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Provide(
		func() *getsRight { return &getsRight{} },
		func(*getsRight) *right { return &right{} },
	))
	err := scopes.Run(t.Context(), get[*getsRight])
	assert.ErrorContains(t, err, "cycle at run time: *fxscope_test.getsRight")
	assert.ErrorContains(t, err, "which wants *fxscope_test.right")
}

type getsRight struct{ _ int }

func (*getsRight) Init(ctx context.Context) error { return get[*right](ctx) }

// Each goroutine has built half of the cycle when it comes to the other's half: the one that would wait last gets the
// error, and with it both.
func TestS5_a_cycle_at_run_time_from_two_goroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scopes := begin(t, fxscope.Provide(
			func(ctx context.Context) (*left, error) { time.Sleep(time.Second); return &left{}, get[*right](ctx) },
			func(ctx context.Context) (*right, error) { time.Sleep(time.Second); return &right{}, get[*left](ctx) },
		))
		ctx, sc := scopes.Begin(t.Context())
		errs := make(chan error, 2)
		go func() { errs <- get[*left](ctx) }()
		go func() { errs <- get[*right](ctx) }()
		for range 2 {
			assert.ErrorContains(t, <-errs, "cycle at run time")
		}
		assert.NoError(t, sc.End(ctx))
	})
}

// Three goroutines, three constructors, each waits for the next; and one that only takes, as a parameter.
func TestS5_a_cycle_at_run_time_from_three_goroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scopes := begin(t, fxscope.Provide(
			func(ctx context.Context) (*left, error) { time.Sleep(time.Second); return &left{}, get[*right](ctx) },
			func(ctx context.Context) (*right, error) {
				time.Sleep(2 * time.Second)
				return &right{}, get[*alpha](ctx)
			},
			func(*third) *alpha { return nil },
			func(ctx context.Context) (*third, error) {
				time.Sleep(3 * time.Second)
				return &third{}, get[*left](ctx)
			},
		))
		ctx, sc := scopes.Begin(t.Context())
		errs := make(chan error, 3)
		go func() { errs <- get[*left](ctx) }()
		go func() { errs <- get[*right](ctx) }()
		go func() { errs <- get[*alpha](ctx) }()
		for range 3 {
			err := <-errs
			assert.ErrorContains(t, err, "cycle at run time")
			assert.ErrorContains(t, err, "*fxscope_test.left from")
			assert.ErrorContains(t, err, "*fxscope_test.third from")
		}
		assert.NoError(t, sc.End(ctx))
	})
}

// A constructor whose goroutines get what it needs is found out as well.
func TestS5_a_cycle_through_goroutines_of_a_constructor(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Provide(
		func(ctx context.Context) (*left, error) {
			errs := make([]error, 4)
			var all sync.WaitGroup
			for i := range errs {
				all.Go(func() { errs[i] = get[*right](ctx) })
			}
			all.Wait()
			return &left{}, errors.Join(errs...)
		},
		func(ctx context.Context) (*right, error) {
			var err error
			var one sync.WaitGroup
			one.Go(func() { err = get[*left](ctx) })
			one.Wait()
			return &right{}, err
		},
	))
	for range 100 {
		require.ErrorContains(t, scopes.Run(t.Context(), get[*left]), "cycle at run time")
	}
}

func TestS5_waiting_for_one_another_without_a_cycle_is_none(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scopes := begin(t, fxscope.Provide(
			func(ctx context.Context) (*left, error) { time.Sleep(time.Second); return &left{}, get[*third](ctx) },
			func(ctx context.Context) (*right, error) {
				return &right{}, errors.Join(get[*left](ctx), get[*third](ctx))
			},
			func() *third { time.Sleep(3 * time.Second); return &third{} },
		))
		ctx, sc := scopes.Begin(t.Context())
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { assert.NoError(t, get[*left](ctx)) })
			all.Go(func() { assert.NoError(t, get[*right](ctx)) })
			all.Go(func() { assert.NoError(t, get[*third](ctx)) })
		}
		all.Wait()
		assert.NoError(t, sc.End(ctx))
	})
}

// A context that its construction has outlived is no longer part of it.
func TestS5_a_kept_context_is_as_good_as_the_scopes(t *testing.T) {
	t.Parallel()
	type keeps struct{ ctx context.Context }
	scopes := begin(t, fxscope.Provide(
		func(ctx context.Context) *keeps { return &keeps{ctx} },
		func(k *keeps) (*left, error) { return &left{}, get[*right](k.ctx) },
		func(k *keeps) (*right, error) { return &right{}, get[*keeps](k.ctx) },
	))
	assert.NoError(t, scopes.Run(t.Context(), get[*left]))
}

// Through any other context nobody can tell who waits for whom: the wait ends with that context.
func TestS5_a_cycle_through_another_context_ends_with_it(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var other context.Context
		scopes := begin(t, fxscope.Provide(
			func() (*left, error) { return &left{}, get[*left](other) },
		))
		ctx, sc := scopes.Begin(t.Context())
		var cancel context.CancelFunc
		other, cancel = context.WithTimeout(ctx, time.Minute)
		defer cancel()
		began := time.Now()
		assert.ErrorIs(t, get[*left](ctx), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(began))
		assert.NoError(t, sc.End(ctx))
	})
}

// The edge of a Get that gave up waiting is gone with it.
func TestS5_who_gave_up_waiting_closes_no_circle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gaveUp := make(chan struct{})
		scopes := begin(t, fxscope.Provide(
			func(ctx context.Context) (*left, error) {
				brief, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				assert.ErrorIs(t, get[*right](brief), context.DeadlineExceeded)
				close(gaveUp)
				time.Sleep(time.Second)
				return &left{}, nil
			},
			func(ctx context.Context) (*right, error) {
				<-gaveUp
				return &right{}, get[*left](ctx) // left no longer waits for right
			},
		))
		ctx, sc := scopes.Begin(t.Context())
		errs := make(chan error, 2)
		go func() { errs <- get[*right](ctx) }()
		synctest.Wait()
		go func() { errs <- get[*left](ctx) }()
		assert.NoError(t, <-errs)
		assert.NoError(t, <-errs)
		assert.NoError(t, sc.End(ctx))
	})
}

// Nor is the context of an attempt that failed part of the one that follows.
func TestS5_the_context_of_an_earlier_attempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var first context.Context
		scopes := begin(t, fxscope.Provide(func(ctx context.Context) (*left, error) {
			if first == nil {
				first = ctx
				return nil, errRefused
			}
			time.Sleep(time.Second)
			return &left{}, nil
		}))
		ctx, sc := scopes.Begin(t.Context())
		require.ErrorIs(t, get[*left](ctx), errRefused)
		again := make(chan error)
		go func() { again <- get[*left](ctx) }()
		synctest.Wait()
		assert.NoError(t, get[*left](first), "it waits for the second attempt, like anybody")
		assert.NoError(t, <-again)
		assert.NoError(t, sc.End(ctx))
	})
}
