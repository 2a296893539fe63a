package fxfactory_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxfactory"
	"github.com/fxkit/fxkit/internal/guard"
)

// A chaos runs a factory through a random life: many callers, functions of the spec that are slow, fail, panic, or ignore their context,
// contexts that end, and a Stop at some time.
type chaos struct {
	seed    uint64
	unit    time.Duration // how long a pause is at most; 0: no pauses but the scheduler's
	mu      sync.Mutex
	random  *rand.Rand // of the spec's functions
	account account
}

func (c *chaos) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

func (c *chaos) pause(ctx context.Context) error {
	if c.unit == 0 {
		for range c.draw(5) {
			runtime.Gosched()
		}
		return nil
	}
	d := time.Duration(c.draw(int(c.unit)))
	if c.draw(4) == 0 { // deaf
		time.Sleep(d)
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		if c.draw(3) == 0 {
			return nil // just finished
		}
		return context.Cause(ctx)
	}
}

var errBoom = errors.New("boom")

func (c *chaos) user(ctx context.Context) error {
	if err := c.pause(ctx); err != nil {
		return err
	}
	switch c.draw(12) {
	case 0:
		return errDown
	case 1:
		panic(errBoom)
	case 2:
		if c.unit > 0 {
			runtime.Goexit()
		}
	}
	return nil
}

// expected says whether an error is one that a caller has to reckon with here.
func expected(err error) bool {
	for _, known := range []error{
		fxfactory.ErrNotFound, fxfactory.ErrExists, fxfactory.ErrStopped, errDown, errBoom, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return err == nil || errors.Is(err, guard.ErrGoexit)
}

func (c *chaos) run(t *testing.T) {
	c.random = rand.New(rand.NewPCG(c.seed, 0))
	a := &c.account
	a.onCreate = func(ctx context.Context, _ string, _ config) error { return c.user(ctx) }
	a.onStart = func(ctx context.Context, _ string) error { return c.user(ctx) }
	a.onCheck = func(ctx context.Context, _ string) error { return c.user(ctx) }
	a.onDestroy = func(ctx context.Context, _ string) error { return c.user(ctx) }
	s := a.spec()

	cfg := settings{Clients: clients{}, Priorities: priorities{}}
	script := rand.New(rand.NewPCG(c.seed, 1))
	for i := range script.IntN(6) {
		name := string(rune('a' + i))
		cfg.Clients[name] = nil
		cfg.Priorities[name] = fxfactory.Priority(script.IntN(3))
	}
	ctx := context.Background()
	f, err := fxfactory.New(ctx, "http", s, cfg, quiet, fxfactory.Concurrency(1+script.IntN(4)), fxfactory.RetireAfter(c.unit))
	if err != nil {
		assert.True(t, expected(err), "%v", err)
		assert.Nil(t, f)
		a.balanced(t)
		return
	}
	var wg sync.WaitGroup
	for i := range 2 + script.IntN(5) {
		wg.Go(func() { c.caller(t, f, rand.New(rand.NewPCG(c.seed, uint64(2+i)))) })
	}
	if script.IntN(4) > 0 {
		wg.Go(func() {
			c.pause(ctx) //nolint:errcheck // it does not end
			err := f.Start(ctx)
			assert.True(t, expected(err), "start: %v", err)
		})
	}
	wg.Go(func() {
		for range script.IntN(10) {
			c.pause(ctx) //nolint:errcheck // it does not end
		}
		for range 1 + script.IntN(2) {
			err := f.Stop(ctx)
			assert.True(t, expected(err), "stop: %v", err)
			assert.Zero(t, f.Len())
		}
	})
	wg.Wait()
	require.NoError(t, f.Stop(ctx), "the last of several")
	a.balanced(t)
}

// caller does what callers do, until the factory is stopped.
func (c *chaos) caller(t *testing.T, f *factory, script *rand.Rand) {
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		if script.IntN(3) == 0 {
			if c.unit > 0 {
				ctx, cancel = context.WithTimeout(context.Background(), time.Duration(script.Int64N(int64(c.unit))))
			} else {
				cancel()
			}
		}
		name := string(rune('a' + script.IntN(6)))
		var err error
		switch script.IntN(10) {
		case 0, 1:
			_, err = f.Create(ctx, name, nil, fxfactory.WithPriority(fxfactory.Priority(script.IntN(3))))
		case 2, 3, 4:
			_, err = f.GetOrCreate(ctx, name, nil)
		case 5:
			_, err = f.Replace(ctx, name, nil)
		case 6:
			err = f.Remove(ctx, name)
		case 7:
			var stop func(context.Context) error
			if _, stop, err = f.Open(ctx, nil); err == nil && script.IntN(2) == 0 {
				err = stop(ctx)
			}
		case 8:
			for _, h := range f.Check(ctx) {
				err = errors.Join(err, h.Err)
			}
		case 9:
			for name, got := range f.All() {
				assert.Equal(t, name, got.name)
			}
			_, err = f.Get(name)
		}
		cancel()
		if !assert.True(t, expected(err), "%v", err) {
			return
		}
	}
}

func TestF6_F9_F11_whatever_happens_each_instance_is_destroyed_once_and_never_used_after(t *testing.T) {
	t.Parallel()
	lives := 500
	if testing.Short() {
		lives = 100
	}
	for seed := range uint64(lives) {
		synctest.Test(t, func(t *testing.T) { (&chaos{seed: seed, unit: time.Second}).run(t) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestF6_F9_F11_the_same_on_a_real_scheduler(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		(&chaos{seed: seed}).run(t)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
