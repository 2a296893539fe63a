// Package program runs an example as a user does, as a process of its own, from its own test binary.
package program

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// itself makes the test binary the program.
const itself = "FXKIT_EXAMPLE"

// TestMain is that of an example's tests.
func TestMain(m *testing.M, main func()) {
	if os.Getenv(itself) != "" {
		// Fx listens to signals only once it has said that it runs. Until then one shall not end the process.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM)
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// Command is the program, not started, in a folder.
func Command(t *testing.T, folder string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), itself+"=1")
	return cmd
}

// Stop asks the program to end, and waits until it has, cleanly.
func Stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	require.Eventually(t, func() bool {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails once it has ended
		select {
		case err := <-ended:
			return assert.NoError(t, err, "a signal is a clean end")
		default:
			return false
		}
	}, 30*time.Second, 10*time.Millisecond)
}
