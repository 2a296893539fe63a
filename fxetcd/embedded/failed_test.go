package embedded_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// aloneVariable is set in a process that runs a single test, to the folder that it has for its data, see alone.
const aloneVariable = "FXKIT_EMBEDDED_ALONE"

func TestMain(m *testing.M) {
	if os.Getenv(aloneVariable) != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// alone runs a test in a process of its own: a server that failed leaves goroutines behind, and one that does not know how to fail takes the
// process with it. It returns a folder that outlives that process, and whether this is the one.
func alone(t *testing.T) (dir string, inside bool) {
	t.Helper()
	if dir, inside = os.LookupEnv(aloneVariable); inside {
		return dir, true
	}
	dir = t.TempDir()
	cmd := exec.CommandContext(within(t, time.Minute), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), aloneVariable+"="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir, false
}

// breakLog takes the folder of the write-ahead log away, as a broken disk would, and writes until the server notices.
func breakLog(t *testing.T, dir string, c *clientv3.Client) (acknowledged int) {
	t.Helper()
	wal := filepath.Join(dir, "member", "wal")
	require.NoError(t, os.Rename(wal, wal+".gone"))
	for { // a segment of the log holds two
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := c.Put(ctx, fmt.Sprint(acknowledged), strings.Repeat("x", 1<<20))
		cancel()
		if err != nil {
			break
		}
		acknowledged++
	}
	require.NoError(t, os.Rename(wal+".gone", wal))
	return acknowledged
}

// E7: what etcd cannot go on with ends the application, in order, in time, and with exit code 1. Nothing is lost.
func TestE7_a_server_that_fails_shuts_the_application_down(t *testing.T) {
	t.Parallel()
	base, inside := alone(t)
	dir, record := filepath.Join(base, "etcd"), filepath.Join(base, "acknowledged")
	if !inside {
		text, err := os.ReadFile(record)
		require.NoError(t, err)
		acknowledged, err := strconv.Atoi(string(text))
		require.NoError(t, err)
		require.Positive(t, acknowledged)
		s := start(t, embedded.Config{Dir: dir})
		for n := range acknowledged {
			got, err := etcdtest.Client(t, s.Endpoints()...).Get(within(t, plenty), fmt.Sprint(n))
			require.NoError(t, err)
			assert.Len(t, got.Kvs, 1, n)
		}
		return
	}

	var s *embedded.Server
	var c *clientv3.Client
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fxetcd.Module, embedded.Module, fx.Populate(&s, &c), fx.Supply(zap.NewNop()),
		yaml("etcd: {embedded: {dir: %q}}", dir))
	require.NoError(t, app.Start(within(t, plenty)))
	require.NoError(t, s.Err())
	require.True(t, (<-c.Watch(t.Context(), "k", clientv3.WithCreatedNotify())).Created)
	require.NoError(t, os.WriteFile(record, []byte(strconv.Itoa(breakLog(t, dir, c))), 0o600))
	signal := <-app.Wait()
	assert.Equal(t, 1, signal.ExitCode)
	<-s.Failed()
	require.ErrorIs(t, s.Err(), os.ErrNotExist)

	began := time.Now()
	err := app.Stop(within(t, plenty))
	assert.Less(t, time.Since(began), 8*time.Second)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, fmt.Sprintf("it failed before, and what is left of it keeps folder %q until the process ends", dir))
	require.EqualError(t, s.Stop(t.Context()), s.Stop(t.Context()).Error(), "a second stop says the same")
	_, err = embedded.Start(within(t, plenty), embedded.Config{Dir: dir})
	require.ErrorIs(t, err, embedded.ErrInUse)
}
