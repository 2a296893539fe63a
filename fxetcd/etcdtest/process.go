package etcdtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Process is an etcd server in a process of its own, which can die as servers die. Its methods may be called from any
// goroutine. It ends with the test, also when the test itself is killed.
type Process struct {
	tb       testing.TB
	settings settings

	mu    sync.Mutex
	child *child // nil while no process runs
}

// StartProcess runs a server as a child process, on a temporary folder and a free port. The child is the test binary itself,
// started again with an environment variable that makes this package serve etcd instead of running tests.
func StartProcess(tb testing.TB, opts ...Option) *Process {
	tb.Helper()
	p := &Process{tb: tb, settings: newSettings(tb, opts)}
	c, err := spawn(p.settings)
	if err != nil {
		tb.Fatalf("etcdtest: start a server as a process: %v", err)
	}
	p.child = c
	tb.Cleanup(p.Kill)
	return p
}

// Endpoints is where clients reach the server. It stays the same for the life of the Process.
func (p *Process) Endpoints() []string { return []string{p.settings.endpoint()} }

// Dir is the folder of its data.
func (p *Process) Dir() string { return p.settings.Dir }

// Client is a plain client of the server that is closed when the test ends. It has no credentials, and trusts any certificate.
func (p *Process) Client(tb testing.TB) *clientv3.Client {
	tb.Helper()
	return Client(tb, p.Endpoints()...)
}

// Kill ends the process as kill -9 does, and waits until it is gone. Its data stay. Kill of a killed process does nothing.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
}

func (p *Process) kill() {
	if p.child != nil {
		p.child.kill()
		p.child = nil
	}
}

// Pause stops the process where it stands (SIGSTOP): its connections stay open, and nothing answers. It returns when the process has stopped.
func (p *Process) Pause() {
	p.tb.Helper()
	p.signal("pause", suspend)
}

// Resume lets a paused process go on.
func (p *Process) Resume() {
	p.tb.Helper()
	p.signal("resume", proceed)
}

func (p *Process) signal(what string, send func(*os.Process) error) {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errors.New("no process runs")
	if p.child != nil {
		err = send(p.child.cmd.Process)
	}
	if err != nil {
		p.tb.Errorf("etcdtest: %s: %v", what, err)
	}
}

// Restart kills the process, if it runs, and starts another on the same folder and address. The server is ready when Restart returns.
func (p *Process) Restart() {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
	c, err := spawn(p.settings)
	if err != nil {
		p.tb.Errorf("etcdtest: restart: %v", err)
		return
	}
	p.child = c
}

// Wipe kills the process, if it runs, and deletes its data. After a Restart the server is empty, and looks to clients like the
// same one: even its cluster and member ids are those it had.
func (p *Process) Wipe() {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
	if err := os.RemoveAll(filepath.Join(p.settings.Dir, "member")); err != nil {
		p.tb.Errorf("etcdtest: wipe: %v", err)
	}
}

// child is one run of a process.
type child struct {
	cmd      *exec.Cmd
	lifeline *os.File // the child ends when this closes, which it does when this process ends
	exited   chan struct{}
}

// spawn starts a child and waits until it is ready.
func spawn(s settings) (*child, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	given, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	stdin, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = stdin.Close() }()
	said, stdout, err := os.Pipe()
	if err != nil {
		_ = lifeline.Close()
		return nil, err
	}
	defer func() { _ = said.Close() }()

	var stderr bytes.Buffer
	c := &child{cmd: exec.Command(binary), lifeline: lifeline, exited: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childVariable+"="+string(given))
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = stdin, stdout, &stderr
	c.cmd.SysProcAttr = endWithParent()
	err = c.start()
	_ = stdout.Close()
	if err != nil {
		_ = lifeline.Close()
		return nil, err
	}
	if err := awaitReady(said); err != nil {
		c.kill()
		return nil, fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	return c, nil
}

// start starts the command on a thread that lives as long as the child: the kernel takes the end of the thread that forked for the
// end of the parent, and Go's runtime may end threads at will.
func (c *child) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_ = c.cmd.Wait()
			close(c.exited)
		}
	}()
	return <-started
}

func awaitReady(said *os.File) error {
	if err := said.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if lines.Text() == childReady {
			return nil
		}
		if reason, ok := strings.CutPrefix(lines.Text(), childFailed); ok {
			return errors.New(reason)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the child did not become ready: %w", err)
	}
	return errors.New("the child ended before it was ready")
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.exited
	_ = c.lifeline.Close()
}
