package exclusive_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

// long is how many times longer the fault tests take in the long suite: FXKIT_LONG=1 go test ./fxetcd/...
func long() int {
	if os.Getenv("FXKIT_LONG") != "" {
		return 10
	}
	return 1
}

// E10, E12: processes are killed, paused and cut off at random. No two terms overlap, and none writes after a later one.
func TestE10_terms_never_overlap(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	const workers = 3
	claims := filepath.Join(t.TempDir(), "claims")
	var proxies [workers]*etcdtest.Proxy
	var running [workers]*worker
	spawn := func(i int) { running[i] = startWorker(t, proxies[i].Endpoint(), claims) }
	for i := range workers {
		proxies[i] = etcdtest.StartProxy(t, server.Endpoints()[0])
		spawn(i)
	}

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	etcd := connect(t, server.Endpoints()...)
	// victim is a worker, more often the one that holds the lock than another.
	victim := func() int {
		got, err := etcd.Get(t.Context(), "exclusive/lock/log/", clientv3.WithFirstCreate()...)
		if err == nil && len(got.Kvs) > 0 && random.IntN(4) > 0 {
			for i, w := range running {
				if strings.HasSuffix(string(got.Kvs[0].Value), fmt.Sprintf("process %d", w.Process.Pid)) {
					return i
				}
			}
		}
		return random.IntN(workers)
	}
	begin := time.Now()
	for time.Since(begin) < time.Duration(10*long())*time.Second {
		i := victim()
		heal := func() {}
		switch random.IntN(5) {
		case 0:
			running[i].kill()
			spawn(i)
		case 1, 2:
			require.NoError(t, running[i].Process.Signal(syscall.SIGSTOP))
			heal = func() { running[i].Process.Signal(syscall.SIGCONT) }
		default:
			proxies[i].Drop()
			heal = proxies[i].Heal
		}
		// Often longer than the lease of whoever was hit, so that somebody else has taken over when it comes back.
		<-time.After(time.Duration(200+random.IntN(2800)) * time.Millisecond)
		heal()
	}

	for _, w := range running {
		w.kill()
	}

	got, err := etcd.Get(t.Context(), "log/", clientv3.WithPrefix(),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortAscend))
	require.NoError(t, err)
	last, terms := int64(0), 0
	for _, kv := range got.Kvs {
		term, err := strconv.ParseInt(string(kv.Value), 10, 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, term, last, "%s was written at revision %d, after term %d had begun to write", kv.Key, kv.ModRevision, last)
		if term > last {
			terms++
		}
		last = term
	}
	t.Logf("%d entries of %d terms", len(got.Kvs), terms)
	assert.Greater(t, terms, 3, "the lock went round")

	// What the fence guarantees without a clock, contexts promise by the clock: nobody believed to be alone when somebody else had already.
	all := claimed(t, claims)
	for i := 1; i < len(all); i++ {
		require.GreaterOrEqual(t, all[i].term, all[i-1].term, "a context was alive %v after one of term %d was",
			time.Duration(all[i].at-all[i-1].at), all[i-1].term)
	}
	t.Logf("%d claims", len(all))
	assert.Greater(t, len(all), terms)
}

// E10: a process that was stopped and goes on finds its context done, before it can do anything, and the fence closed.
func TestE10_a_paused_process_knows_at_once(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	paused := startWorker(t, server.Endpoints()[0], "")
	term := paused.line(t)
	require.NoError(t, paused.Process.Signal(syscall.SIGSTOP))
	_, next, release := holding(t, process(t, 2*time.Second, server.Endpoints()...), workersLock)

	fmt.Fprintln(paused.input, "what do you think?") // the first it reads when it goes on
	require.NoError(t, paused.Process.Signal(syscall.SIGCONT))
	// The clock says so, or the server's news of its key if that is read first.
	assert.Regexp(t, `^no longer exclusive: its (lease was not renewed in time|key was deleted: .*); fenced: <nil> false$`, paused.line(t))
	assert.Less(t, term, fmt.Sprintf("term %d", next.Revision))
	require.NoError(t, release())
}

// E10: the context is asked by the clock. It waits for nobody: neither for an answer of the server nor for a timer of this process.
func TestE10_a_context_ends_in_time_though_the_server_is_silent(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	x := process(t, 5*time.Second, server.Endpoints()...)
	ctx, _, release := holding(t, x, "job")
	server.Pause()
	began := time.Now()
	for ctx.Err() == nil {
	}
	assert.Less(t, time.Since(began), 5*time.Second, "it ends before the lease does")
	server.Resume()
	assert.ErrorIs(t, release(), exclusive.ErrLost)
}

// E10: a lock that was let go while etcd was away is free once it is back, not when its lease has ended.
func TestE10_what_is_released_during_an_outage_is_free_after_it(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	x := process(t, time.Minute, proxy.Endpoint())
	_, _, release := holding(t, x, "job")
	proxy.Drop()
	require.NoError(t, release())
	proxy.Reset() // what was sent so far does not arrive after all
	proxy.Heal()
	soon, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, process(t, time.Minute, server.Endpoints()...).Lock(soon, "job", nothing))

	_, _, release = holding(t, x, "job")
	proxy.Drop()
	require.NoError(t, release())
	soon, cancel = context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, x.Close(soon), "a stop does not wait for etcd to come back")
}
