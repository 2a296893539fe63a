package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A3: notifiers are chosen per flag.
func TestA3_a_flag_chooses_who_is_told(t *testing.T) {
	t.Parallel()
	type call struct {
		record  map[string]any
		request string
	}
	calls := make(chan call, 10)
	failed := false
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !failed { // a notification is tried again
			failed = true
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		c := call{request: r.Header.Get("X-Request-Id")}
		json.NewDecoder(r.Body).Decode(&c.record)
		calls <- c
	}))
	defer hook.Close()
	p := start(t, []string{"FLAGD_WEBHOOK=" + hook.URL}, "-ephemeral")

	status, _ := p.must(t, "PUT", "/flags/loud", `{"value": 1, "notify": "webhook"}`)
	assert.Equal(t, http.StatusOK, status)
	told := <-calls
	assert.Equal(t, "put", told.record["action"])
	assert.Equal(t, "loud", told.record["key"])
	assert.Equal(t, "ada", told.record["user"])
	assert.NotEmpty(t, told.request)

	status, _ = p.must(t, "PUT", "/flags/logged", `{"value": 1, "notify": "log"}`)
	assert.Equal(t, http.StatusOK, status)
	status, _ = p.must(t, "PUT", "/flags/quiet", `{"value": 1}`)
	assert.Equal(t, http.StatusOK, status)
	p.must(t, "DELETE", "/flags/loud", "")
	told = <-calls
	assert.Equal(t, "delete", told.record["action"], "the next that is told of is this one")

	status, answer := p.must(t, "PUT", "/flags/x", `{"value": 1, "notify": "weebhook"}`)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, answer["error"], `"notify" is "weebhook": want "log" or "webhook"`)
}

// A3
func TestA3_a_notifier_that_is_not_configured_is_refused(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	status, answer := p.must(t, "PUT", "/flags/x", `{"value": 1, "notify": "webhook"}`)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, answer["error"], "flagd.webhook is not configured")
}
