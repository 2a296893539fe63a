package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// load writes flags from several goroutines, until the application answers no more, and returns the versions of all
// writes that were answered with success, by key. began is closed once there are some.
func load(ctx context.Context, p *process, began chan<- struct{}) map[string]int64 {
	var mu sync.Mutex
	acknowledged := map[string]int64{}
	var wg sync.WaitGroup
	for writer := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("load-%d-%d", writer, i)
				status, answer, err := p.do(ctx, "PUT", "/flags/"+key, `{"value": 1}`)
				if err != nil {
					return
				}
				if status/100 != 2 {
					continue
				}
				mu.Lock()
				acknowledged[key] = int64(answer["version"].(float64))
				if len(acknowledged) == 100 {
					close(began)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return acknowledged
}

// A4: under load, every write that was answered 2xx has its audit record, and exit is 0.
func TestA4_stops_gracefully_under_load(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := start(t, nil, "-data", data)
	began, result := make(chan struct{}), make(chan map[string]int64)
	go func() { result <- load(t.Context(), p, began) }()
	<-began
	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 0, p.exit(t))
	acknowledged := <-result
	assert.Empty(t, p.said(t))

	again := start(t, nil, "-data", data)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{again.etcd}, Logger: zap.NewNop()})
	require.NoError(t, err)
	defer etcd.Close()
	records, err := etcd.Get(t.Context(), "audit/", clientv3.WithPrefix())
	require.NoError(t, err)
	audited := map[string]bool{}
	for _, kv := range records.Kvs {
		audited[strings.TrimPrefix(string(kv.Key), "audit/")] = true
		assert.Contains(t, string(kv.Value), `"user":"ada"`)
	}
	assert.GreaterOrEqual(t, len(acknowledged), 100)
	for key, version := range acknowledged {
		assert.True(t, audited[fmt.Sprintf("%020d", version)], "the write of %s, version %d, has its record", key, version)
	}
}

// A4: what is in flight is finished before anything is closed.
func TestA4_finishes_the_request_in_hand(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	body, release, answered := hang(t, p)
	p.signal(t, syscall.SIGTERM)
	// The listener is closed first: once a connection is refused, stop has begun.
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	_, err := io.WriteString(body, `1}`)
	require.NoError(t, err)
	release()
	assert.Equal(t, http.StatusOK, <-answered)
	assert.Equal(t, 0, p.exit(t))
}

// A5: a second signal exits at once with 130.
func TestA5_a_second_signal_forces_the_end(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	_, release, answered := hang(t, p)
	p.signal(t, syscall.SIGTERM)
	p.signal(t, syscall.SIGINT) // another one, since the kernel may deliver two of a kind as one
	assert.Equal(t, 130, p.exit(t))
	release()
	assert.Zero(t, <-answered)
}

// hang starts a PUT whose body is complete only after a write to body and release. It is in the handler's hands when hang returns.
func hang(t *testing.T, p *process) (body io.Writer, release func(), answered <-chan int) {
	t.Helper()
	read, write := io.Pipe()
	status := make(chan int, 1)
	r, err := http.NewRequestWithContext(t.Context(), "PUT", p.url+"/flags/slow", read)
	require.NoError(t, err)
	r.Header.Set("Expect", "100-continue") // the server asks for the body when the handler reads it
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 30 * time.Second}}
	go func() {
		resp, err := client.Do(r)
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	_, err = io.WriteString(write, `{"value": `)
	require.NoError(t, err)
	return write, func() { write.Close() }, status
}

// A7
func TestA7_kill_loses_no_acknowledged_write(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := start(t, nil, "-data", data)
	began, result := make(chan struct{}), make(chan map[string]int64)
	go func() { result <- load(t.Context(), p, began) }()
	<-began
	p.signal(t, os.Kill)
	p.exit(t)
	acknowledged := <-result

	again := start(t, nil, "-data", data)
	_, list := again.must(t, "GET", "/flags?prefix=load-", "")
	stored := map[string]bool{}
	for _, flag := range list["flags"].([]any) {
		stored[flag.(map[string]any)["key"].(string)] = true
	}
	for key := range acknowledged {
		assert.True(t, stored[key], "%s was acknowledged", key)
	}
}

// A7: whatever it was doing when it was killed, it starts again on the same data.
func TestA7_kill_in_every_phase_leaves_nothing_in_the_way(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	for _, tt := range []struct {
		name string
		kill func(t *testing.T)
	}{
		{"at its first breath", func(t *testing.T) {
			p, _ := launch(t, nil, "-data", data)
			p.signal(t, os.Kill)
			p.exit(t)
		}},
		{"while its etcd starts", func(t *testing.T) {
			p, _ := launch(t, nil, "-data", data)
			for database := filepath.Join(data, "etcd", "member", "snap", "db"); ; {
				if _, err := os.Stat(database); err == nil {
					break
				}
			}
			p.signal(t, os.Kill)
			p.exit(t)
		}},
		{"while it stops", func(t *testing.T) {
			p := start(t, nil, "-data", data)
			_, release, answered := hang(t, p)
			p.signal(t, syscall.SIGTERM)
			p.signal(t, os.Kill)
			p.exit(t)
			release()
			<-answered
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.kill(t)
			p := start(t, nil, "-data", data)
			status, _ := p.must(t, "PUT", "/flags/a", `{"value": 1}`)
			assert.Equal(t, http.StatusOK, status)
			p.signal(t, os.Interrupt)
			assert.Equal(t, 0, p.exit(t))
		})
	}
}
