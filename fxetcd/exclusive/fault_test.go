package exclusive_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

// workerVariable holds the endpoint of a worker.
const workerVariable = "FXKIT_EXCLUSIVE_WORKER"

// work takes the lock again and again, and writes its term into a log in etcd through the fence, until it is killed or its parent ends.
func work() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{os.Getenv(workerVariable)}, DialTimeout: 2 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	x, err := exclusive.New(client, exclusive.Config{TTL: 2 * time.Second}, exclusive.WithLogger(zap.NewNop()))
	if err != nil {
		panic(err)
	}
	for {
		x.Lock(context.Background(), "log", func(ctx context.Context, term exclusive.Term) error {
			for i := range 20 {
				if ctx.Err() != nil {
					return nil
				}
				entry := clientv3.OpPut(fmt.Sprintf("log/%d-%d-%d", os.Getpid(), term.Revision, i), strconv.FormatInt(term.Revision, 10))
				client.Txn(ctx).If(term.Guard).Then(entry).Commit()
			}
			return nil
		})
	}
}

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
	self, err := os.Executable()
	require.NoError(t, err)
	const workers = 3
	var proxies [workers]*etcdtest.Proxy
	var running [workers]*exec.Cmd
	spawn := func(i int) {
		worker := exec.Command(self)
		worker.Env = append(os.Environ(), workerVariable+"="+proxies[i].Endpoint())
		_, err := worker.StdinPipe() // its end ends the worker
		require.NoError(t, err)
		require.NoError(t, worker.Start())
		running[i] = worker
	}
	kill := func(i int) {
		running[i].Process.Kill()
		running[i].Wait()
	}
	for i := range workers {
		proxies[i] = etcdtest.StartProxy(t, server.Endpoints()[0])
		spawn(i)
		defer func() { kill(i) }()
	}

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	etcd := connect(t, server.Endpoints()...)
	// victim is a worker, more often the one that holds the lock than another.
	victim := func() int {
		got, err := etcd.Get(t.Context(), "exclusive/lock/log/", clientv3.WithFirstCreate()...)
		if err == nil && len(got.Kvs) > 0 && random.IntN(4) > 0 {
			for i, worker := range running {
				if strings.HasSuffix(string(got.Kvs[0].Value), fmt.Sprintf("process %d", worker.Process.Pid)) {
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
			kill(i)
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
}

// E10: a process that was paused finds its context done before it can do anything.
func TestE10_a_paused_process_knows_at_once(t *testing.T) {
	t.Parallel()
	// The pause is that of the server, which then cannot renew. What is asked here is the context alone: it tells by the clock, without
	// waiting for a timer of this process.
	server := etcdtest.StartProcess(t)
	x := process(t, 2*time.Second, server.Endpoints()...)
	ctx, _, release := holding(t, x, "job")
	server.Pause()
	began := time.Now()
	for ctx.Err() == nil {
	}
	assert.Less(t, time.Since(began), 2*time.Second, "it ends before the lease does")
	server.Resume()
	assert.ErrorIs(t, release(), exclusive.ErrLost)
}
