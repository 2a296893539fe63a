package main_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A1, A5: one clear sentence on standard error, and exit code 1.
func TestA5_a_failed_start_says_why_in_one_sentence(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	config, err := os.ReadFile("../../config.yaml")
	require.NoError(t, err)
	// edited is the repository's configuration with one text replaced by another.
	edited := func(from, to string) string {
		require.Contains(t, string(config), from)
		name := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(name, []byte(strings.Replace(string(config), from, to, 1)), 0o600))
		return name
	}

	for _, tt := range []struct {
		name     string
		env      []string
		args     []string
		contains []string
	}{
		{
			"a taken port",
			[]string{"FLAGD_ADDRESS=" + taken.Addr().String()},
			[]string{"-ephemeral"},
			[]string{taken.Addr().String(), "address already in use"},
		},
		{
			"a data folder that cannot be made", nil,
			[]string{"-data", filepath.Join(file, "data")},
			[]string{filepath.Join(file, "data"), "not a directory"},
		},
		{
			"a misspelt key", nil,
			[]string{"-ephemeral", "-config", edited("  default:", "  default: {endpiont: 127.0.0.1:2379}\n  default2:")},
			[]string{"config.yaml:", "endpiont", `did you mean "endpoints"?`},
		},
		{
			"an instance that the code wants and nobody configures", nil,
			[]string{"-ephemeral", "-config", edited("    audit:", "    audti:")},
			[]string{`"audit"`, `did you mean "audti"?`},
		},
		{
			"no configuration", nil,
			[]string{"-ephemeral", "-config", "missing.yaml"},
			[]string{"missing.yaml"},
		},
		{
			"a flag's wrong use", nil,
			[]string{"-ephemeral", "-data", "x"},
			[]string{"exclude each other"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := launch(t, tt.env, tt.args...)
			assert.Equal(t, 1, p.exit(t))
			said := p.said(t)
			assert.Equal(t, 1, strings.Count(said, "\n"), "one line: %s", said)
			assert.True(t, strings.HasPrefix(said, "flagd: "), said)
			assert.NotContains(t, said, "goroutine ")
			for _, part := range tt.contains {
				assert.Contains(t, said, part)
			}
		})
	}
}

// A5: a signal during start rolls back instead of killing.
func TestA5_a_signal_during_start_is_a_failed_start(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	p, _ := launch(t, []string{"ETCD_ENDPOINTS=" + silent.Addr().String()})
	conn, err := silent.Accept() // it waits for an answer now
	require.NoError(t, err)
	defer conn.Close()
	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 1, p.exit(t))
	assert.Contains(t, p.said(t), "flagd: interrupted while starting")
}
