package exclusive_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

// A worker is this program once more, as a process that can be killed and paused.
type worker struct {
	*exec.Cmd
	input  io.Writer // its end ends the worker
	output *bufio.Reader
}

const (
	workerVariable = "FXKIT_EXCLUSIVE_WORKER" // the endpoint
	claimsVariable = "FXKIT_EXCLUSIVE_CLAIMS" // the file
	workersLock    = "log"
)

// startWorker starts a process that takes workersLock with a TTL of 2s again and again. With a file for its claims it writes into a log in etcd; else it
// says which term it has, waits to be asked, and says what it thinks of it.
func startWorker(tb testing.TB, endpoint, claims string) *worker {
	tb.Helper()
	self, err := os.Executable()
	require.NoError(tb, err)
	w := &worker{Cmd: exec.Command(self)}
	w.Env = append(os.Environ(), workerVariable+"="+endpoint, claimsVariable+"="+claims)
	w.input, err = w.StdinPipe()
	require.NoError(tb, err)
	output, err := w.StdoutPipe()
	require.NoError(tb, err)
	w.output = bufio.NewReader(output)
	require.NoError(tb, w.Start())
	tb.Cleanup(w.kill)
	return w
}

func (w *worker) kill() {
	_ = w.Process.Kill() // it may have been killed already
	_ = w.Wait()
}

func (w *worker) line(tb testing.TB) string {
	tb.Helper()
	line, err := w.output.ReadString('\n')
	require.NoError(tb, err)
	return line[:len(line)-1]
}

// work is the worker's side.
func work() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{os.Getenv(workerVariable)}, DialTimeout: 2 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	x, err := exclusive.New(client, exclusive.Config{TTL: 2 * time.Second}, exclusive.WithLogger(zap.NewNop()))
	if err != nil {
		panic(err)
	}
	input := bufio.NewReader(os.Stdin)
	section := func(ctx context.Context, term exclusive.Term) error { return answer(ctx, client, term, input) }
	if path := os.Getenv(claimsVariable); path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		section = func(ctx context.Context, term exclusive.Term) error { return claim(ctx, client, term, file) }
		go func() {
			_, _ = input.ReadByte()
			os.Exit(0)
		}()
	}
	for {
		_ = x.Lock(context.Background(), workersLock, section)
	}
}

// answer leaves the lock when it is asked, and says first what is left of it.
func answer(ctx context.Context, client *clientv3.Client, term exclusive.Term, input *bufio.Reader) error {
	fmt.Printf("term %d\n", term.Revision)
	if _, err := input.ReadString('\n'); err != nil {
		os.Exit(0)
	}
	cause := context.Cause(ctx)
	done, err := client.Txn(context.Background()).If(term.Guard).Then(clientv3.OpPut("late", "")).Commit()
	fmt.Printf("%v; fenced: %v %v\n", cause, err, err == nil && done.Succeeded)
	return nil
}

// claim writes its term into a log in etcd, through the fence, twenty times, and all the while into a file that it is alone. It goes on to do so
// while etcd is not to be reached, as long as the context lets it.
func claim(ctx context.Context, client *clientv3.Client, term exclusive.Term, claims io.Writer) error {
	for written := 0; written < 20; {
		now := time.Now() // the context was alive then, if it is now
		if ctx.Err() != nil {
			return nil
		}
		fmt.Fprintln(claims, term.Revision, now.UnixNano())
		entry := clientv3.OpPut(fmt.Sprintf("log/%d-%d-%d", os.Getpid(), term.Revision, written), strconv.FormatInt(term.Revision, 10))
		patience, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		if _, err := client.Txn(patience).If(term.Guard).Then(entry).Commit(); err == nil {
			written++
		}
		cancel()
	}
	return nil
}

// A claimOf a term is a moment at which its context was alive. All processes of a machine have the same clock.
type claimOf struct{ term, at int64 }

// claimed is what the workers have claimed, by time.
func claimed(tb testing.TB, path string) (all []claimOf) {
	tb.Helper()
	data, err := os.ReadFile(path)
	require.NoError(tb, err)
	for line := range bytes.Lines(data) {
		var c claimOf
		_, err := fmt.Sscan(string(line), &c.term, &c.at)
		require.NoError(tb, err)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b claimOf) int { return cmp.Compare(a.at, b.at) })
	return all
}
