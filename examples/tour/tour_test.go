package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// asProgram makes the test binary the program itself.
const asProgram = "FXKIT_TOUR"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		// Fx listens to signals only once it has said that it runs. Until then one shall not end the process.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM)
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

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
	self, err := os.Executable()
	require.NoError(t, err)
	endpoints := "  default: {endpoints: " + strings.Join(etcd.Endpoints(), ",") + "}\n"
	yaml := strings.Replace(config, "etcd:\n", "etcd:\n"+endpoints, 1)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "config.yaml"), []byte(yaml), 0o600))

	tour := exec.Command(self)
	tour.Dir = folder
	tour.Env = append(os.Environ(), asProgram+"=1")
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
	ended := make(chan error, 1)
	go func() { ended <- tour.Wait() }()
	require.Eventually(t, func() bool {
		_ = tour.Process.Signal(syscall.SIGTERM) // fails once it has ended
		select {
		case err := <-ended:
			return assert.NoError(t, err, "a signal is a clean end")
		default:
			return false
		}
	}, 30*time.Second, 10*time.Millisecond)
}
