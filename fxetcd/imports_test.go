package fxetcd_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// E7: a program that uses clients does not link the server.
func TestE7_the_server_is_linked_by_embedded_and_etcdtest_alone(t *testing.T) {
	t.Parallel()
	const server = "go.etcd.io/etcd/server/v3"
	list, err := exec.Command("go", "list", "github.com/fxkit/fxkit/fxetcd/...").Output()
	require.NoError(t, err)
	linked := map[string]bool{}
	for _, pkg := range strings.Fields(string(list)) {
		deps, err := exec.Command("go", "list", "-deps", pkg).Output()
		require.NoError(t, err)
		for _, dep := range strings.Fields(string(deps)) {
			if strings.HasPrefix(dep, server) {
				linked[strings.TrimPrefix(pkg, "github.com/fxkit/fxkit/")] = true
			}
		}
	}
	assert.Equal(t, map[string]bool{"fxetcd/embedded": true, "fxetcd/etcdtest": true}, linked)
}
