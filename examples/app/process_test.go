package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// binary is the application, built as a user builds it.
var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "flagd-test-")
	if err == nil {
		binary = filepath.Join(folder, "app")
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(folder)
		os.Exit(code)
	}))
}

// environment lets several processes run side by side. On a busy machine etcd warns of slow disks, which is none of the tests' business.
var environment = []string{"FLAGD_ADDRESS=127.0.0.1:0", "FLAGD_LOG_LEVEL=error"}

// A process is the running application.
type process struct {
	cmd    *exec.Cmd
	stdout []string // until ready
	stderr string   // a file
	url    string   // of the API
	etcd   string   // host:port
	exited chan int
}

// launch starts the application; config.yaml is the repository's unless args say otherwise.
func launch(t *testing.T, env []string, args ...string) (*process, *bufio.Scanner) {
	t.Helper()
	if !strings.Contains(strings.Join(args, " "), "-config") {
		args = append([]string{"-config", "../../config.yaml"}, args...)
	}
	p := &process{cmd: exec.Command(binary, args...), exited: make(chan int, 1)}
	folder := t.TempDir() // a process that is killed leaves its temporary files behind
	p.cmd.Env = slices.Concat(os.Environ(), environment, []string{"TMPDIR=" + folder}, env)
	stderr, err := os.Create(filepath.Join(folder, "stderr"))
	require.NoError(t, err)
	p.cmd.Stderr, p.stderr = stderr, stderr.Name()
	read, write := io.Pipe()
	p.cmd.Stdout = write
	require.NoError(t, p.cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.cmd.Wait()
		stderr.Close()
		write.Close()
		p.exited <- p.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		go io.Copy(io.Discard, read)
		<-done
		if t.Failed() {
			t.Logf("%s %s\n%s%s", binary, strings.Join(args, " "), strings.Join(p.stdout, "\n"), p.said(t))
		}
	})
	return p, bufio.NewScanner(read)
}

var (
	servesLine = regexp.MustCompile(`^flagd serves (http://\S+)/flags$`)
	etcdLine   = regexp.MustCompile(`^its data is in etcd at (\S+)$`)
)

// start launches the application and waits until it says that it is ready.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p, stdout := launch(t, env, args...)
	for stdout.Scan() {
		line := stdout.Text()
		p.stdout = append(p.stdout, line)
		if m := servesLine.FindStringSubmatch(line); m != nil {
			p.url = m[1]
		}
		if m := etcdLine.FindStringSubmatch(line); m != nil {
			p.etcd = m[1]
		}
		if strings.HasPrefix(line, "stop it") {
			break
		}
	}
	require.NotEmpty(t, p.url, "the application is ready: %s", p.said(t))
	go func() {
		for stdout.Scan() {
		}
	}()
	return p
}

// said is what stands on standard error so far.
func (p *process) said(t *testing.T) string {
	t.Helper()
	said, err := os.ReadFile(p.stderr)
	require.NoError(t, err)
	return string(said)
}

// exit waits for the end of the process.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case code := <-p.exited:
		return code
	case <-time.After(30 * time.Second):
		require.FailNow(t, "the process does not end")
		return -1
	}
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}

// do sends a request and decodes the answer.
func (p *process) do(ctx context.Context, method, path, body string) (int, map[string]any, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-User", "ada")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return resp.StatusCode, nil, err
	}
	return resp.StatusCode, answer, nil
}

// must is do for requests that reach the application.
func (p *process) must(t *testing.T, method, path, body string) (int, map[string]any) {
	t.Helper()
	status, answer, err := p.do(t.Context(), method, path, body)
	require.NoError(t, err)
	return status, answer
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
