package etcdtest_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// E7: kill -9 loses no acknowledged write.
func TestE7_a_killed_process_loses_no_acknowledged_write(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProcess(t)
	c := p.Client(t)

	var mu sync.Mutex
	acknowledged := map[string]bool{}
	enough := make(chan struct{})
	var writers sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for w := range 8 {
		writers.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("k/%d/%d", w, i)
				if _, err := c.Put(ctx, key, "v"); err != nil {
					return
				}
				mu.Lock()
				if acknowledged[key] = true; len(acknowledged) == 200 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	p.Kill()
	cancel()
	writers.Wait()
	p.Restart()

	found := map[string]bool{}
	for w := range 8 {
		prefix := fmt.Sprintf("k/%d/", w)
		got, err := c.Get(t.Context(), prefix, rangeOf(prefix)...)
		require.NoError(t, err)
		for _, kv := range got.Kvs {
			found[string(kv.Key)] = true
		}
	}
	for key := range acknowledged {
		assert.True(t, found[key], "%s was acknowledged and is gone", key)
	}
}

func TestE12_a_paused_process_answers_nothing_until_it_is_resumed(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProcess(t)
	c := p.Client(t)
	_, err := c.Put(t.Context(), "k", "v")
	require.NoError(t, err)

	p.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = c.Get(ctx, "k")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	p.Resume()
	got, err := c.Get(t.Context(), "k")
	require.NoError(t, err)
	assert.Len(t, got.Kvs, 1)

	p.Pause() // the cleanup must end a paused process too
}

func TestE12_a_wiped_process_comes_back_empty_at_the_same_address(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProcess(t)
	c := p.Client(t)
	before, err := c.Put(t.Context(), "k", "v")
	require.NoError(t, err)

	p.Wipe()
	p.Restart()
	got, err := c.Get(t.Context(), "k")
	require.NoError(t, err)
	assert.Empty(t, got.Kvs)
	assert.Less(t, got.Header.Revision, before.Header.Revision)
	assert.Equal(t, before.Header.ClusterId, got.Header.ClusterId, "nothing but the revision tells the two apart")
}

// A recorder is a test that a helper of ours may fail.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestE12_what_cannot_be_done_fails_the_test(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	p := etcdtest.StartProcess(r)
	p.Kill()
	p.Kill()
	p.Pause()
	p.Resume()
	require.Len(t, r.errors, 2)
	assert.Equal(t, "etcdtest: pause: no process runs", r.errors[0])
	assert.Equal(t, "etcdtest: resume: no process runs", r.errors[1])

	require.NoError(t, os.WriteFile(p.Dir()+"/member/wal/garbage", nil, 0o600))
	require.NoError(t, os.RemoveAll(p.Dir()))
	require.NoError(t, os.WriteFile(p.Dir(), nil, 0o600))
	p.Restart()
	require.Len(t, r.errors, 3)
	assert.Contains(t, r.errors[2], "etcdtest: restart: embedded: start etcd at 127.0.0.1:")
	assert.Contains(t, r.errors[2], "not a directory")
}

// TestE12_nothing_outlives_a_killed_test runs the test below in a process of its own, kills that, and looks for the server.
func TestE12_nothing_outlives_a_killed_test(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0], "-test.run=^TestHelper_hold_a_paused_process$", "-test.v")
	parent.Env = append(os.Environ(), holdVariable+"=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	var address string
	for address == "" {
		line := make([]byte, 4096)
		n, err := out.Read(line)
		require.NoError(t, err)
		if _, rest, ok := strings.Cut(string(line[:n]), "holding "); ok {
			address = strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0])
		}
	}
	held, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = held.Close() }()
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.NoError(t, held.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = held.Read(make([]byte, 1))
	require.Error(t, err)
	assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server still runs")
}

const holdVariable = "FXKIT_ETCDTEST_HOLD"

func TestHelper_hold_a_paused_process(t *testing.T) {
	if os.Getenv(holdVariable) == "" {
		t.Skip("part of TestE12_nothing_outlives_a_killed_test")
	}
	p := etcdtest.StartProcess(t)
	p.Pause()
	fmt.Println("holding", p.Endpoints()[0])
	select {}
}
