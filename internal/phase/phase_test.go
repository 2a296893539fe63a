package phase_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/internal/guard"
	"github.com/fxkit/fxkit/internal/phase"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBudgetOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		deadline    time.Duration
		total, part time.Duration
	}{
		{"no deadline gives the fallback less the reserve", 0, 14750 * time.Millisecond, 14750 * time.Millisecond / 4 * 3},
		{"a short deadline keeps a twentieth", 2 * time.Second, 1900 * time.Millisecond, 1425 * time.Millisecond},
		{"a long deadline keeps a quarter of a second", time.Minute, 59750 * time.Millisecond, 59750 * time.Millisecond / 4 * 3},
		{"a deadline that has passed leaves nothing", -time.Second, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.deadline != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				b := phase.BudgetOf(ctx, phase.Default)
				assert.Equal(t, tt.total, time.Until(b.End))
				assert.Equal(t, tt.part, time.Until(b.ThreeQuarters()))
			})
		})
	}
}

// shares gives each hook its share and lets use[i] of it pass, or all of it where use[i] is negative.
func shares(t *testing.T, total time.Duration, claims, use []time.Duration) (got []time.Duration) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		begin := time.Now()
		s := phase.NewShares(begin, begin.Add(total))
		for _, c := range claims {
			s.Add(c)
		}
		for i, c := range claims {
			share := s.Next(c)
			got = append(got, share)
			if use[i] < 0 {
				time.Sleep(share)
			} else {
				time.Sleep(use[i])
			}
		}
	})
	return got
}

func TestShares(t *testing.T) {
	t.Parallel()
	const all = time.Duration(-1)
	const s, ms = time.Second, time.Millisecond
	type d = []time.Duration
	for _, tt := range []struct {
		name              string
		total             time.Duration
		claims, use, want d
	}{
		{"hooks that hang share equally", 9 * s, d{0, 0, 0}, d{all, all, all}, d{3 * s, 3 * s, 3 * s}},
		{"what one does not use is for those after it", 9 * s, d{0, 0, 0}, d{s, all, all}, d{3 * s, 4 * s, 4 * s}},
		{"a claim is served first", 10 * s, d{0, 6 * s, 0}, d{all, all, all}, d{2 * s, 6 * s, 2 * s}},
		{"a claim is a limit as well", 10 * s, d{4 * s}, d{all}, d{4 * s}},
		{"a tenth stays for the others", 10 * s, d{time.Hour, 0, 0}, d{all, all, all}, d{9 * s, 500 * ms, 500 * ms}},
		{"and no more of it than the others left need", 10 * s, d{0, time.Hour, 0}, d{all, all, all}, d{500 * ms, 9 * s, 500 * ms}},
		{"claims alone may use all", 10 * s, d{time.Hour}, d{all}, d{10 * s}},
		{"too many claims shrink in proportion", 11 * s, d{20 * s, 2 * s}, d{all, all}, d{10 * s, s}},
		{"no time at all is a millisecond each", 0, d{0, s, 0}, d{all, all, all}, d{ms, ms, ms}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := shares(t, tt.total, tt.claims, tt.use)
			require.Len(t, got, len(tt.want))
			for i := range got {
				assert.InDelta(t, tt.want[i], got[i], float64(time.Microsecond), "hook %d: %s, want %s", i, got[i], tt.want[i])
			}
		})
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	run := func(ctx context.Context, hook func(context.Context) error) error {
		return phase.Run(ctx, time.Minute, hook, func(error, time.Duration) { t.Error("nothing was left behind") })
	}
	assert.NoError(t, run(t.Context(), func(context.Context) error { return nil }))
	assert.ErrorIs(t, run(t.Context(), func(context.Context) error { return io.EOF }), io.EOF)
	assert.ErrorIs(t, run(t.Context(), func(context.Context) error { runtime.Goexit(); return nil }), guard.ErrGoexit)
	var p *guard.PanicError
	assert.ErrorAs(t, run(t.Context(), func(context.Context) error { panic("boom") }), &p)
}

func TestRun_ends_the_context_a_tenth_before_the_share(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := phase.Run(t.Context(), 10*time.Second, func(ctx context.Context) error {
			<-ctx.Done()
			assert.Equal(t, 9*time.Second, time.Since(begin))
			return io.ErrUnexpectedEOF
		}, nil)
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "a hook that honours its context says itself why it failed")
		assert.Equal(t, 9*time.Second, time.Since(begin))
	})
}

func TestRun_leaves_behind_what_ignores_its_context(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin, release := time.Now(), make(chan struct{})
		var late error
		var ran time.Duration
		err := phase.Run(t.Context(), 10*time.Second, func(context.Context) error {
			<-release
			return io.EOF
		}, func(err error, d time.Duration) { late, ran = err, d })
		assert.Equal(t, 10*time.Second, time.Since(begin))
		var behind *phase.LeftBehind
		require.ErrorAs(t, err, &behind)
		assert.Equal(t, 10*time.Second, behind.After)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualError(t, err, "left behind after 10s, still running although its context has ended (context deadline exceeded)")

		time.Sleep(5 * time.Second)
		close(release)
		synctest.Wait()
		assert.ErrorIs(t, late, io.EOF, "its own error is not lost")
		assert.Equal(t, 15*time.Second, ran)
	})
}

func TestRun_waits_for_the_whole_share_after_a_cancellation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("stop was cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		begin := time.Now()
		assert.ErrorIs(t, phase.Run(ctx, time.Second, func(context.Context) error {
			time.Sleep(990 * time.Millisecond)
			return io.EOF
		}, nil), io.EOF)
		assert.ErrorIs(t, phase.Run(ctx, time.Second, func(context.Context) error {
			time.Sleep(2 * time.Second)
			return io.EOF
		}, nil), why)
		assert.Equal(t, 1990*time.Millisecond, time.Since(begin))
		time.Sleep(time.Minute)
	})
}

func TestRound(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"12.3s": 12345678 * time.Microsecond, "1.23s": 1234567 * time.Microsecond, "1.2ms": 1234567, "12µs": 12345,
	} {
		assert.Equal(t, want, phase.Round(d).String())
	}
}
