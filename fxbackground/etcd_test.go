package fxbackground_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// B7 with a real client of a real server: a thousand writes are in flight or waiting when the application stops, and
// Module stands first, in between or last. Every task finishes or is named, and none sees a closed connection.
func TestB7_a_thousand_writes_to_etcd_in_flight_at_stop(t *testing.T) {
	t.Parallel()
	for name, section := range map[string]string{
		"time enough":   `{timeout: 10s, concurrency: 200}`,
		"without limit": `{timeout: 10s}`,
		"too little":    `{timeout: 5ms, grace: 5s, concurrency: 20}`,
	} {
		for position := range 3 {
			t.Run(fmt.Sprintf("%s, module at %d", name, position), func(t *testing.T) {
				var tasks *fxbackground.Runner
				var client *clientv3.Client
				stopping := make(chan struct{})
				// Built after the Runner, so its PreDestroy comes first: all writes begin once stop has begun.
				open := func(lc fx.Lifecycle, _ *fxbackground.Runner) error {
					_, err := fxlifecycle.Manage(lc, stopping, fxlifecycle.WithHooks(fxlifecycle.Hooks{
						PreDestroy: func(context.Context) error { close(stopping); return nil },
					}))
					return err
				}
				// Fx builds what a module invokes where the module stands: first is built first and, without a coordinator,
				// stopped last, when the client and the server are gone.
				options := slices.Insert([]fx.Option{embedded.Module, fxetcd.Module}, position,
					fx.Module("tasks", fxbackground.Module, fx.Invoke(func(*fxbackground.Runner) {})))
				app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Supply(zap.NewNop()),
					fxconfig.From(fxconfig.Text("config.yaml", fmt.Sprintf("etcd: {embedded: {dir: %q}}\nbackgroundTask: %s", t.TempDir(), section))),
					fx.Options(options...), fx.Invoke(open), fx.Populate(&tasks, &client))
				require.NoError(t, app.Start(t.Context()))

				const n = 1000
				var written, late, broken atomic.Int64
				for i := range n {
					require.NoError(t, tasks.Run(t.Context(), fmt.Sprint(i), func(ctx context.Context) error {
						<-stopping
						_, err := client.Put(ctx, fmt.Sprint("key/", i), "value")
						switch {
						case err == nil:
							written.Add(1)
						case ctx.Err() != nil && errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "closing"):
							late.Add(1)
						default:
							broken.Add(1)
							t.Errorf("write %d: %v", i, err)
						}
						return err
					}))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				err := app.Stop(ctx)

				abandoned := 0
				var drain *fxbackground.DrainError
				if errors.As(err, &drain) {
					abandoned = len(drain.Abandoned)
				} else {
					assert.NoError(t, err)
				}
				assert.Zero(t, broken.Load())
				assert.Equal(t, int64(n), written.Load()+late.Load()+int64(abandoned), "each has ended or is named")
				s := tasks.Stats()
				assert.Equal(t, fxbackground.Stats{Submitted: n, Succeeded: written.Load(), Failed: late.Load(), Abandoned: int64(abandoned)}, s)
				if strings.HasPrefix(name, "too little") {
					assert.NotZero(t, abandoned+int(late.Load()), "the drain has run out of time")
				} else {
					assert.Equal(t, int64(n), written.Load())
				}
				t.Logf("%d written, %d cancelled, %d abandoned", written.Load(), late.Load(), abandoned)
			})
		}
	}
}
