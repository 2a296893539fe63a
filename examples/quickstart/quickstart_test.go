package main

import (
	"bufio"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asProgram makes the test binary the program itself.
const asProgram = "FXKIT_QUICKSTART"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		// Fx listens to signals only once it has started. Until then one shall not end the process.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM)
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestREADME_shows_this_program(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(readme), "```go\n")
	require.True(t, found)
	shown, _, _ := strings.Cut(after, "```")
	_, code, _ := strings.Cut(string(program), "\n") // without the comment of the package
	assert.Equal(t, code, shown)
}

func TestThe_program_greets_and_stops(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	program := exec.Command(self)
	program.Dir = t.TempDir()
	program.Env = append(os.Environ(), asProgram+"=1")
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	assert.Equal(t, "hello, world", lines.Text())

	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	require.Eventually(t, func() bool {
		_ = program.Process.Signal(syscall.SIGTERM) // fails once it has ended
		select {
		case err := <-ended:
			return assert.NoError(t, err, "a signal is a clean end")
		default:
			return false
		}
	}, 30*time.Second, 10*time.Millisecond)
}
