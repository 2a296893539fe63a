package fxscope_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxscope"
)

var errRefused = errors.New("connection refused")

// Objects with hooks, that depend on one another in this order.
type (
	top    struct{ *account }
	middle struct{ *account }
	bottom struct{ *account }
)

func TestS5_a_failure_names_the_path_and_is_not_cached(t *testing.T) {
	t.Parallel()
	l := newLedger()
	var fail atomic.Bool
	fail.Store(true)
	scopes := begin(t, fxscope.Provide(
		func(*middle) *top { return &top{l.account(t, "top")} },
		func(*bottom) (*middle, error) {
			if fail.Load() {
				return nil, errRefused
			}
			return &middle{l.account(t, "middle")}, nil
		},
		func() *bottom { return &bottom{l.account(t, "bottom")} },
	))
	ctx, sc := scopes.Begin(t.Context())
	_, err := fxscope.Get[*top](ctx)
	require.ErrorIs(t, err, errRefused)
	assert.Regexp(t, `^fxscope: get \*fxscope_test\.top, which wanted \*fxscope_test\.middle: github\.com/fxkit/fxkit/fxscope_test\.\S+ \(/.*/failure_test\.go:\d+\): connection refused$`, err.Error())
	assert.Equal(t, []string{"bottom.PostConstruct", "bottom.PreInject", "bottom.PostInject", "bottom.Init"}, l.read(), "what was already built stays")

	l.clear()
	fail.Store(false)
	_, err = fxscope.Get[*top](ctx)
	require.NoError(t, err, "the next Get tries again")
	assert.NotContains(t, l.read(), "bottom.Init", "and builds nothing twice")
	require.NoError(t, sc.End(ctx))
	l.balanced(t)
}

func TestS5_what_a_constructor_may_do_instead_of_returning(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"panic", func() { panic("boom") }, "panic: boom"},
		{"panic with an error", func() { panic(errRefused) }, "panic: connection refused"},
		{"runtime.Goexit", runtime.Goexit, "runtime.Goexit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			entered, release := make(chan struct{}), make(chan struct{})
			scopes := begin(t, fxscope.Provide(
				func() *beta {
					if calls.Add(1) == 1 {
						close(entered)
						<-release
						tt.do()
					}
					return &beta{}
				},
				func(b *beta) *alpha { return &alpha{b} },
			))
			errs := make(chan error, 2)
			ctx, sc := scopes.Begin(t.Context())
			var all sync.WaitGroup
			all.Go(func() { // the builder; Goexit ends it
				_, err := fxscope.Get[*alpha](ctx)
				errs <- err
			})
			<-entered
			close(release)
			all.Wait()
			if tt.name != "runtime.Goexit" {
				err := <-errs
				assert.ErrorContains(t, err, "fxscope: get *fxscope_test.alpha, which wanted *fxscope_test.beta: ")
				assert.ErrorContains(t, err, tt.want)
				assert.ErrorContains(t, err, "failure_test.go:")
			}
			_, err := fxscope.Get[*alpha](ctx)
			assert.NoError(t, err, "the scope goes on")
			assert.NoError(t, sc.End(ctx))
		})
	}
}

func TestS1_S5_who_waited_for_a_failed_build_gets_its_error(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"an error": func() error { return errRefused },
		"a panic":  func() error { panic(errRefused) },
		"a Goexit": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				scopes := begin(t, fxscope.Provide(
					func() (*beta, error) {
						calls.Add(1)
						time.Sleep(time.Second)
						return &beta{}, fail()
					},
					func(b *beta) *alpha { return &alpha{b} },
				))
				ctx, sc := scopes.Begin(t.Context())
				go func() { _, _ = fxscope.Get[*beta](ctx) }()
				synctest.Wait()
				errs := make(chan error, 2)
				go func() { _, err := fxscope.Get[*alpha](ctx); errs <- err }()
				go func() { _, err := fxscope.Get[*beta](ctx); errs <- err }()
				for range 2 {
					err := <-errs
					require.Error(t, err)
					assert.ErrorContains(t, err, "*fxscope_test.beta: github.com/")
				}
				assert.EqualValues(t, 1, calls.Load())
				assert.NoError(t, sc.End(ctx))
			})
		})
	}
}

func TestS5_a_wait_ends_with_its_context(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scopes := begin(t, fxscope.Provide(func() *beta { time.Sleep(time.Minute); return &beta{} }))
		ctx, sc := scopes.Begin(t.Context())
		go func() {
			_, err := fxscope.Get[*beta](ctx)
			assert.NoError(t, err)
		}()
		synctest.Wait()
		impatient, cancel := context.WithTimeoutCause(ctx, time.Second, errRefused)
		defer cancel()
		began := time.Now()
		_, err := fxscope.Get[*beta](impatient)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, errRefused, "with its cause")
		assert.ErrorContains(t, err, "fxscope: get *fxscope_test.beta: waiting for another goroutine that builds it: context deadline exceeded")
		assert.Equal(t, time.Second, time.Since(began))
		_, err = fxscope.Get[*beta](ctx)
		assert.NoError(t, err, "the build goes on")
		assert.NoError(t, sc.End(ctx))
	})
}

// Each construction hook fails in each way it can; the object is destroyed, once, and not handed out.
func TestS5_S6_a_construction_hook_that_fails(t *testing.T) {
	t.Parallel()
	hooks := []string{"PostConstruct", "PreInject", "PostInject", "Init"}
	for i, hook := range hooks {
		for _, boom := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, panic %v", hook, boom), func(t *testing.T) {
				t.Parallel()
				l := newLedger()
				var calls atomic.Int64
				scopes := begin(t, fxscope.Provide(
					func() *bottom { return &bottom{l.account(t, "bottom")} },
					func(*bottom) *middle {
						a := l.account(t, "middle")
						if calls.Add(1) == 1 {
							a.fail, a.err, a.boom = hook, errRefused, boom
						}
						return &middle{a}
					},
					func(*middle) *top { return &top{l.account(t, "top")} },
				))
				ctx, sc := scopes.Begin(t.Context())
				_, err := fxscope.Get[*top](ctx)
				require.ErrorIs(t, err, errRefused)
				assert.Regexp(t, `^fxscope: get \*fxscope_test\.top, which wanted \*fxscope_test\.middle: \S+ \(/.*/failure_test\.go:\d+\): `+hook+` of \*fxscope_test\.middle: `, err.Error())
				var want []string
				for _, h := range hooks {
					want = append(want, "bottom."+h)
				}
				for _, h := range hooks[:i+1] {
					want = append(want, "middle."+h)
				}
				assert.Equal(t, append(want, "middle.Destroy"), l.read(), "no later hook runs but Destroy")
				_, err = fxscope.Get[*top](ctx)
				require.NoError(t, err)
				require.NoError(t, sc.End(ctx))
				l.balanced(t)
			})
		}
	}
}

func TestS5_a_hook_that_ends_its_goroutine(t *testing.T) {
	t.Parallel()
	l := newLedger()
	scopes := begin(t, fxscope.Provide(func() *exits { return &exits{l.account(t, "exits")} }))
	ctx, sc := scopes.Begin(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _, _ = fxscope.Get[*exits](ctx) })
	all.Wait()
	l.balanced(t)
	require.NoError(t, sc.End(ctx))
}

type exits struct{ *account }

func (*exits) Init(context.Context) error { runtime.Goexit(); return nil }

func TestS5_of_several_results_all_are_destroyed_if_one_fails(t *testing.T) {
	t.Parallel()
	l := newLedger()
	scopes := begin(t, fxscope.Provide(func() (*bottom, *middle, *top) {
		m := l.account(t, "middle")
		m.fail, m.err = "Init", errRefused
		return &bottom{l.account(t, "bottom")}, &middle{m}, &top{l.account(t, "top")}
	}))
	ctx, sc := scopes.Begin(t.Context())
	_, err := fxscope.Get[*bottom](ctx)
	require.ErrorIs(t, err, errRefused)
	assert.Equal(t, []string{
		"bottom.PostConstruct", "bottom.PreInject", "bottom.PostInject", "bottom.Init",
		"middle.PostConstruct", "middle.PreInject", "middle.PostInject", "middle.Init",
		"bottom.PreDestroy", // it was ready, the others were not
		"top.Destroy", "middle.Destroy", "bottom.Destroy",
	}, l.read())
	l.balanced(t)
	require.NoError(t, sc.End(ctx))
}

func TestS5_a_failure_within_a_failure_is_told_too(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Provide(func() *stubborn { return &stubborn{} }))
	ctx, sc := scopes.Begin(t.Context())
	_, err := fxscope.Get[*stubborn](ctx)
	assert.ErrorIs(t, err, errRefused)
	assert.ErrorContains(t, err, "; and then: Destroy of *fxscope_test.stubborn from ")
	assert.ErrorContains(t, err, "cannot be destroyed")
	assert.NoError(t, sc.End(ctx))
}

type stubborn struct{ _ int }

func (*stubborn) Init(context.Context) error    { return errRefused }
func (*stubborn) Destroy(context.Context) error { return errors.New("cannot be destroyed") }

func TestS13_a_Value_missing_at_run_time(t *testing.T) {
	t.Parallel()
	scopes := begin(t, fxscope.Value[tenant](), fxscope.Provide(
		func(v tenant) *db { return &db{string(v)} },
		func(d *db) *session { return &session{db: d} },
	))
	ctx, sc := scopes.Begin(t.Context())
	_, err := fxscope.Get[*session](ctx)
	require.ErrorIs(t, err, fxscope.ErrNotProvided)
	assert.Regexp(t, `^fxscope: get \*fxscope_test\.session, which wanted \*fxscope_test\.db, which wanted fxscope_test\.tenant: not provided: it is a Value \(Value at /.*failure_test\.go:\d+\), and the scope was begun without: pass fxscope\.With`, err.Error())
	_, err = fxscope.Get[tenant](ctx)
	assert.ErrorIs(t, err, fxscope.ErrNotProvided)
	assert.NoError(t, sc.End(ctx))
	_, err = fxscope.Get[tenant](ctx)
	assert.ErrorIs(t, err, fxscope.ErrEnded)
}

func TestS13_With(t *testing.T) {
	t.Parallel()
	l := newLedger()
	scopes := begin(t, fxscope.Provide(
		func() *bottom { panic("stood in for") },
		func(b *bottom) *userOfBottom { return &userOfBottom{b} },
	))
	stand := &bottom{l.account(t, "stand")}
	require.NoError(t, scopes.Run(t.Context(), func(ctx context.Context) error {
		u, err := fxscope.Get[*userOfBottom](ctx)
		require.NoError(t, err)
		assert.Same(t, stand, u.b)
		b, err := fxscope.Get[*bottom](ctx)
		require.NoError(t, err)
		assert.Same(t, stand, b)

		undeclared, err := fxscope.Get[tenant](ctx)
		require.NoError(t, err, "With needs no declaration for Get")
		assert.Equal(t, tenant("last"), undeclared, "of several the last counts")
		none, err := fxscope.Get[store](ctx)
		assert.NoError(t, err)
		assert.Nil(t, none, "nil is a value too")
		return nil
	}, fxscope.With(stand), fxscope.With[tenant]("first"), fxscope.With[tenant]("last"), fxscope.With[store](nil), fxscope.ScopeValue{}))
	assert.Empty(t, l.read(), "it has no hooks: whoever made it closes it")
}

type userOfBottom struct{ b *bottom }

func TestGet_what_every_scope_has(t *testing.T) {
	t.Parallel()
	scopes := begin(t)
	ctx, sc := scopes.Begin(t.Context())
	got, err := fxscope.Get[*fxscope.Scope](ctx)
	require.NoError(t, err)
	assert.Same(t, sc, got)
	all, err := fxscope.Get[*fxscope.Scopes](ctx)
	require.NoError(t, err)
	assert.Same(t, scopes, all)
	in, err := fxscope.Get[context.Context](ctx)
	require.NoError(t, err)
	assert.Equal(t, ctx, in)
	assert.Len(t, sc.ID(), 16)
	assert.NoError(t, sc.Err())
	assert.NoError(t, sc.End(ctx))
	assert.ErrorIs(t, sc.Err(), fxscope.ErrEnded)
	_, err = fxscope.Get[*fxscope.Scope](ctx)
	assert.ErrorIs(t, err, fxscope.ErrEnded)

	_, ok := fxscope.From(t.Context())
	assert.False(t, ok)
	_, err = fxscope.Get[*db](t.Context())
	assert.ErrorIs(t, err, fxscope.ErrNoScope)
	assert.EqualError(t, err, "fxscope: get *fxscope_test.db: the context has no scope: begin one with Scopes.Run, Scopes.Begin or Scopes.Middleware, and pass on its context")
}
