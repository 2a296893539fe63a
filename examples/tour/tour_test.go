package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/examples/internal/program"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

func TestMain(m *testing.M) { program.TestMain(m, main) }

const config = `
etcd:
  client: {}
  clients: {audit: {namespace: audit/}}
httpClient:
  clients: {mailgate: {baseURL: "http://mail.internal", timeout: 3s}}
  defaultClientName: mailgate
`

func TestThe_tour_takes_an_order_and_stops(t *testing.T) {
	taken, err := net.Listen("tcp", ":8080")
	if err != nil {
		t.Skip("the tour serves on :8080, which somebody else has: ", err)
	}
	taken.Close()
	etcd := etcdtest.Start(t)
	folder := t.TempDir()
	endpoints := "  default: {endpoints: " + strings.Join(etcd.Endpoints(), ",") + "}\n"
	yaml := strings.Replace(config, "etcd:\n", "etcd:\n"+endpoints, 1)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "config.yaml"), []byte(yaml), 0o600))

	tour := program.Command(t, folder)
	stderr, err := tour.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, tour.Start())
	defer tour.Process.Kill()
	log := ""
	for chunk := make([]byte, 4096); !strings.Contains(log, "RUNNING"); {
		n, err := stderr.Read(chunk)
		require.NoError(t, err, "it runs: %s", log)
		log += string(chunk[:n])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post("http://127.0.0.1:8080/orders", "", nil)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	program.Stop(t, tour)
}
