package fxetcd_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxetcd"
)

// E5: an hour of an absent server, in virtual time.
func TestE5_an_absent_server_is_a_few_lines_a_minute_that_tell_how_many_they_stand_for(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: []string{"unix:///nowhere/etcd.sock"}, Startup: fxetcd.Skip},
			fxetcd.WithLogger(zap.New(core)))
		require.NoError(t, err)
		for range 3600 {
			_, err := c.Put(context.Background(), "k", "v") // every 5 s, the request timeout
			require.ErrorIs(t, err, context.DeadlineExceeded)
			if time.Since(logs.All()[0].Time) >= time.Hour {
				break
			}
		}
		require.NoError(t, c.Close())
		assert.InDelta(t, 180, logs.Len(), 6, "3 a minute")
		suppressed := int64(0)
		for _, e := range logs.All() {
			if n, ok := e.ContextMap()["suppressed"].(int64); ok {
				suppressed += n
			}
		}
		assert.InDelta(t, 540, suppressed, 20, "of 12 a minute")
	})
}
