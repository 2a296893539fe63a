package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A serverSentEvent is one of GET /flags/events.
type serverSentEvent struct {
	id, event string
	data      map[string]any
}

// listen follows the events after an id until the stream ends, when the channel is closed.
func (p *process) listen(t *testing.T, path, after string) <-chan serverSentEvent {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.url+path, nil)
	require.NoError(t, err)
	r.Header.Set("Last-Event-ID", after)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 20 * time.Second}}
	resp, err := client.Do(r)
	require.NoError(t, err)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	events := make(chan serverSentEvent)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		var e serverSentEvent
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				e.id = value
			case "event":
				e.event = value
			case "data":
				json.Unmarshal([]byte(value), &e.data)
			case "":
				select {
				case events <- e:
				case <-t.Context().Done():
					return
				}
				e = serverSentEvent{}
			}
		}
	}()
	return events
}

// said is an event in short.
func said(e serverSentEvent) string { return fmt.Sprint(e.event, " ", e.data["key"]) }

// A2: server-sent events; Last-Event-ID resumes without a gap or a repeat.
func TestA2_events(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := start(t, nil, "-data", data)
	p.must(t, "PUT", "/flags/web-a", `{"value": 1}`)
	p.must(t, "PUT", "/flags/other", `{"value": 1}`)
	p.must(t, "PUT", "/flags/web-gone", `{"value": 1, "ttl": "1ns"}`)

	events := p.listen(t, "/flags/events?prefix=web-", "")
	first := <-events
	assert.Equal(t, "put web-a", said(first))
	assert.Equal(t, 1.0, first.data["value"])
	assert.Equal(t, "synced <nil>", said(<-events))
	p.must(t, "PUT", "/flags/web-b", `{"value": 2}`)
	second := <-events
	assert.Equal(t, "put web-b", said(second))
	p.must(t, "DELETE", "/flags/web-a", "")
	assert.Equal(t, "delete web-a", said(<-events))

	p.signal(t, syscall.SIGTERM)
	_, open := <-events
	assert.False(t, open, "a stop ends the stream")
	assert.Equal(t, 0, p.exit(t), "and does not wait for who listens")

	again := start(t, nil, "-data", data)
	again.must(t, "PUT", "/flags/web-c", `{"value": 3}`)
	events = again.listen(t, "/flags/events?prefix=web-", second.id)
	assert.Equal(t, "delete web-a", said(<-events), "what was missed comes first, and only that")
	assert.Equal(t, "put web-c", said(<-events))

	events = again.listen(t, "/flags/events?prefix=web-", "999999")
	assert.Equal(t, "reset <nil>", said(<-events), "an id that etcd does not know is no id to go on from")
	assert.Equal(t, "put web-b", said(<-events))
	assert.Equal(t, "put web-c", said(<-events))
	assert.Equal(t, "synced <nil>", said(<-events))
}

// A2
func TestA2_events_after_what_is_no_id(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	for _, id := range []string{"yesterday", "17.", "17.0", "0.1", "+1", "-1", "1.2.3", "99999999999999999999"} {
		t.Run(id, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), "GET", p.url+"/flags/events", nil)
			require.NoError(t, err)
			r.Header.Set("Last-Event-ID", id)
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
			require.NoError(t, err)
			defer resp.Body.Close()
			assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Contains(t, string(body), "want a revision, as in 17, or a part of one, as in 17.2")
		})
	}
}

// A2: what a watch refuses, the API refuses with a status, since it has answered before it asks the watch; what a watch takes, the API takes.
func TestA2_events_after_every_kind_of_id(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	p.must(t, "PUT", "/flags/a", `{"value": 1}`)
	for _, id := range []string{"", "0", "1", "1.1", "2", "2.1", "999999", "999999999999999999", "999999999999999999.1", fmt.Sprint(math.MaxInt64)} {
		t.Run(id, func(t *testing.T) {
			events := p.listen(t, "/flags/events", id)
			p.must(t, "PUT", "/flags/b", `{"value": 2}`)
			first, open := <-events
			assert.True(t, open, "the stream goes on")
			assert.NotEmpty(t, first.event)
		})
	}
	assert.Empty(t, p.said(t))
}

// A2: a listener that misses nothing has its answer at once.
func TestA2_events_answers_before_there_is_one(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	_, created := p.must(t, "PUT", "/flags/a", `{"value": 1}`)
	events := p.listen(t, "/flags/events", fmt.Sprint(created["version"]))
	p.must(t, "PUT", "/flags/b", `{"value": 2}`)
	assert.Equal(t, "put b", said(<-events))
}

// fill stores more than a connection's buffers hold.
func fill(t *testing.T, p *process) {
	t.Helper()
	value := `{"value": "` + strings.Repeat("x", 60<<10) + `"}`
	for i := range 150 {
		status, _ := p.must(t, "PUT", fmt.Sprintf("/flags/big-%d", i), value)
		require.Equal(t, http.StatusOK, status)
	}
}

// stall listens to the events, and reads no further than the first, so that the application cannot write the last.
func stall(t *testing.T, p *process) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.address())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
	_, err = fmt.Fprintf(conn, "GET /flags/events HTTP/1.1\r\nHost: %s\r\n\r\n", p.address())
	require.NoError(t, err)
	first := bufio.NewScanner(conn)
	for first.Scan() && first.Text() != "event: put" {
	}
	require.NoError(t, first.Err())
	return conn
}

func TestA4_a_stop_does_not_wait_for_a_listener_that_does_not_read(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	fill(t, p)
	stall(t, p)
	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 0, p.exit(t))
	assert.Empty(t, p.said(t))
}

func TestA2_a_listener_that_does_not_read_loses_its_connection(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	fill(t, p)
	conn := stall(t, p)
	require.Eventually(t, func() bool {
		_, err := conn.Write([]byte("\n")) // which nobody answers, until there is nobody
		return err != nil
	}, 25*time.Second, 50*time.Millisecond)
	assert.Empty(t, p.said(t))
	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 0, p.exit(t))
}
