package main_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	binary := filepath.Join(t.TempDir(), "quickstart")
	build := exec.Command("go", "build", "-o", binary, ".")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)

	program := exec.Command(binary)
	program.Dir = t.TempDir()
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	stderr, err := program.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	assert.Equal(t, "hello, world", lines.Text())
	// Fx listens to signals only when it has started.
	for log := bufio.NewScanner(stderr); ; {
		require.True(t, log.Scan(), "Fx says when it has started")
		if strings.Contains(log.Text(), "RUNNING") {
			break
		}
	}
	require.NoError(t, program.Process.Signal(syscall.SIGTERM))
	assert.NoError(t, program.Wait(), "a signal is a clean end")
}
