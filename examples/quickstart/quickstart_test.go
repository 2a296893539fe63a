package main

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/examples/internal/program"
)

func TestMain(m *testing.M) { program.TestMain(m, main) }

func TestREADME_shows_this_program(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(readme), "```go\n")
	require.True(t, found)
	shown, _, _ := strings.Cut(after, "```")
	_, code, _ := strings.Cut(string(source), "\n") // without the comment of the package
	assert.Equal(t, code, shown)
}

func TestThe_program_greets_and_stops(t *testing.T) {
	t.Parallel()
	greeter := program.Command(t, t.TempDir())
	stdout, err := greeter.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, greeter.Start())
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	assert.Equal(t, "hello, world", lines.Text())
	program.Stop(t, greeter)
}
