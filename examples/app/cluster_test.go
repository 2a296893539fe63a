package main_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// addresses are those that GET /peers shows.
func (p *process) addresses(t *testing.T) []string {
	t.Helper()
	status, answer := p.must(t, "GET", "/peers", "")
	require.Equal(t, http.StatusOK, status)
	var found []string
	for _, peer := range answer["peers"].([]any) {
		found = append(found, peer.(map[string]any)["address"].(string))
	}
	return found
}

func (p *process) address() string { return strings.TrimPrefix(p.url, "http://") }

// A3, A4: two processes on one etcd see each other, and each other's changes; one that is killed is off the list after its TTL, one that
// stops at once.
func TestA3_two_processes_share_an_etcd(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.StartProcess(t)
	flagd := func(ttl string) *process {
		return start(t, []string{"ETCD_ENDPOINTS=" + etcd.Endpoints()[0], "FLAGD_TTL=" + ttl})
	}
	ada, grace, mary := flagd("1h"), flagd("2s"), flagd("1h")
	sees := func(p *process, want ...string) {
		t.Helper()
		require.Eventually(t, func() bool { return assert.ObjectsAreEqual(sorted(want), sorted(p.addresses(t))) },
			20*time.Second, 10*time.Millisecond)
	}
	for _, p := range []*process{ada, grace, mary} {
		sees(p, ada.address(), grace.address(), mary.address())
	}

	events := ada.listen(t, "/flags/events", "")
	assert.Equal(t, "synced <nil>", said(<-events))
	grace.must(t, "PUT", "/flags/a", `{"value": 1}`)
	assert.Equal(t, "put a", said(<-events))

	mary.signal(t, syscall.SIGTERM)
	assert.Equal(t, 0, mary.exit(t))
	sees(ada, ada.address(), grace.address())
	grace.signal(t, os.Kill)
	grace.exit(t)
	sees(ada, ada.address())

	ada.must(t, "PUT", "/flags/b", `{"value": 2}`)
	assert.Equal(t, "put b", said(<-events), "nothing came between")
}

// A7: etcd is killed and comes back while flags are written: what was acknowledged is there, and those who listen miss nothing.
func TestA7_a_restart_of_etcd_loses_no_acknowledged_write(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.StartProcess(t, etcdtest.WithFsync())
	p := start(t, []string{"ETCD_ENDPOINTS=" + etcd.Endpoints()[0]})
	events := p.listen(t, "/flags/events?prefix=load-", "")
	assert.Equal(t, "synced <nil>", said(<-events))

	var mu sync.Mutex
	var acknowledged []string
	var wg sync.WaitGroup
	ends, restarted := make(chan struct{}), make(chan struct{})
	begin := make(chan struct{}, 1000)
	for writer := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ends:
					return
				default:
				}
				key := fmt.Sprintf("load-%d-%d", writer, i)
				status, _, err := p.do(t.Context(), "PUT", "/flags/"+key, `{"value": 1}`)
				if !assert.NoError(t, err) || status != http.StatusOK {
					continue
				}
				mu.Lock()
				acknowledged = append(acknowledged, key)
				mu.Unlock()
				select {
				case begin <- struct{}{}:
				default:
				}
			}
		})
	}
	go func() {
		defer close(restarted)
		for range 3 {
			for range 20 {
				<-begin
			}
			etcd.Restart()
		}
	}()
	heard := map[string]bool{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range events {
			if e.event != "put" {
				continue
			}
			key := e.data["key"].(string)
			assert.False(t, heard[key], "%s comes once", key)
			heard[key] = true
			if key == "load-last" {
				return
			}
		}
	}()
	<-restarted
	for range 20 {
		<-begin
	}
	close(ends)
	wg.Wait()
	for status := 0; status != http.StatusOK; {
		status, _ = p.must(t, "PUT", "/flags/load-last", `{"value": 1}`)
	}
	<-done
	_, list := p.must(t, "GET", "/flags?prefix=load-", "")
	stored := map[string]bool{}
	for _, flag := range list["flags"].([]any) {
		stored[flag.(map[string]any)["key"].(string)] = true
	}
	for _, key := range acknowledged {
		assert.True(t, stored[key], "%s was acknowledged", key)
		assert.True(t, heard[key], "of %s those who listen have heard", key)
	}
}
