package backoff_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/internal/backoff"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDelay_doubles_up_to_the_maximum_and_is_random_in_its_upper_half(t *testing.T) {
	t.Parallel()
	p := backoff.Policy{Base: 100 * time.Millisecond, Max: time.Second}
	for failures, want := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond, 4: 800 * time.Millisecond,
		5: time.Second, 6: time.Second, 1000: time.Second, math.MaxInt: time.Second,
	} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := p.Delay(failures)
			seen[d] = true
			assert.GreaterOrEqual(t, d, want/2, failures)
			assert.LessOrEqual(t, d, want, failures)
		}
		assert.Greater(t, len(seen), 50, "the delays after %d failures differ", failures)
	}
	assert.Zero(t, backoff.Policy{}.Delay(3))
}

func TestWait_ends_with_its_context(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		assert.True(t, backoff.Wait(t.Context(), time.Hour))
		assert.Equal(t, time.Hour, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		assert.False(t, backoff.Wait(ctx, time.Hour))
		assert.Equal(t, time.Hour+time.Minute, time.Since(start))
	})
}
