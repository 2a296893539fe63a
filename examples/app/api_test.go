package main_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A1
func TestA1_says_in_a_few_lines_what_is_where(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	assert.LessOrEqual(t, len(p.stdout), 5)
	assert.NotEmpty(t, p.etcd)
	status, _ := p.must(t, "GET", "/flags", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Empty(t, p.said(t))
}

// A6: main.go is short enough to be read first.
func TestA6_main_is_short(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	assert.Less(t, strings.Count(string(program), "\n"), 80)
}

// A2
func TestA2_API(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")

	status, created := p.must(t, "PUT", "/flags/new-checkout", `{"value": {"share": 10}, "enabled": true}`)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "new-checkout", created["key"])
	version := int64(created["version"].(float64))
	assert.Positive(t, version)

	status, got := p.must(t, "GET", "/flags/new-checkout", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, created, got)
	assert.Equal(t, map[string]any{"share": 10.0}, got["value"])

	put := func(body string) int {
		status, _ := p.must(t, "PUT", "/flags/new-checkout", body)
		return status
	}
	assert.Equal(t, http.StatusOK, put(fmt.Sprintf(`{"value": 1, "enabled": false, "if-version": %d}`, version)))
	assert.Equal(t, http.StatusConflict, put(fmt.Sprintf(`{"value": 2, "if-version": %d}`, version)), "a version that has passed")
	assert.Equal(t, http.StatusConflict, put(`{"value": 2, "if-version": 0}`), "0 is a flag that must not exist")
	_, got = p.must(t, "GET", "/flags/new-checkout", "")
	assert.Equal(t, 1.0, got["value"], "what was refused has changed nothing")
	assert.Equal(t, false, got["enabled"])

	status, conflict := p.must(t, "PUT", "/flags/other", `{"value": 1, "if-version": 7}`)
	assert.Equal(t, http.StatusConflict, status)
	assert.Contains(t, conflict["error"], `flag "other" does not exist`)
	status, _ = p.must(t, "PUT", "/flags/other", `{"value": "x", "if-version": 0, "ttl": "1h"}`)
	assert.Equal(t, http.StatusOK, status)

	_, list := p.must(t, "GET", "/flags?prefix=new-", "")
	assert.Len(t, list["flags"], 1)
	_, list = p.must(t, "GET", "/flags", "")
	assert.Len(t, list["flags"], 2)
	assert.Positive(t, list["version"])

	status, _ = p.must(t, "DELETE", "/flags/other", "")
	assert.Equal(t, http.StatusOK, status)
	status, gone := p.must(t, "GET", "/flags/other", "")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Equal(t, "no such flag", gone["error"])
	status, _ = p.must(t, "DELETE", "/flags/other", "")
	assert.Equal(t, http.StatusNotFound, status)
}

// A2
func TestA2_a_flag_with_a_ttl_is_gone_when_it_has_passed(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	status, _ := p.must(t, "PUT", "/flags/brief", `{"value": 1, "ttl": "1ns"}`)
	assert.Equal(t, http.StatusOK, status)
	status, _ = p.must(t, "GET", "/flags/brief", "")
	assert.Equal(t, http.StatusNotFound, status)
	_, list := p.must(t, "GET", "/flags", "")
	assert.Empty(t, list["flags"])
	status, _ = p.must(t, "PUT", "/flags/brief", `{"value": 2, "if-version": 0}`)
	assert.Equal(t, http.StatusOK, status, "for whoever creates it, it is not there")
	status, _ = p.must(t, "PUT", "/flags/brief", `{"value": 3, "ttl": "1ns"}`)
	assert.Equal(t, http.StatusOK, status)
	status, _ = p.must(t, "DELETE", "/flags/brief", "")
	assert.Equal(t, http.StatusNotFound, status)
}

// A2
func TestA2_refuses_what_it_cannot_use_and_says_why(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "-ephemeral")
	for _, tt := range []struct {
		name, path, body string
		status           int
		message          string
	}{
		{"a syntax error", "/flags/a", "{\n  \"value\": 1,,\n}", 400, "line 2, column 14"},
		{"an incomplete body", "/flags/a", `{"value": `, 400, "line 1, column 11: the JSON value is incomplete"},
		{"an empty body", "/flags/a", "", 400, "incomplete"},
		{"a wrong type", "/flags/a", `{"value": 1, "enabled": "yes"}`, 400, `"enabled" is a string, want bool`},
		{"an unknown field", "/flags/a", `{"value": 1, "enable": true}`, 400, `unknown field "enable": known are`},
		{"a second value", "/flags/a", `{"value": 1} {}`, 400, "line 1, column 14: more after the end"},
		{"no value", "/flags/a", `{"enabled": true}`, 400, `"value" is missing`},
		{"a ttl without a unit", "/flags/a", `{"value": 1, "ttl": "90"}`, 400, `want a positive duration`},
		{"a negative ttl", "/flags/a", `{"value": 1, "ttl": "-1s"}`, 400, `want a positive duration`},
		{"a negative version", "/flags/a", `{"value": 1, "if-version": -1}`, 400, `"if-version" is -1`},
		{"a key that is none", "/flags/-a", `{"value": 1}`, 400, `key "-a": want 1 to 128 letters`},
		{"a key with a slash", "/flags/a%2Fb", `{"value": 1}`, 400, `key "a/b"`},
		{"a key that is too long", "/flags/" + strings.Repeat("a", 129), `{"value": 1}`, 400, "want 1 to 128"},
		{"a reserved key", "/flags/events", `{"value": 1}`, 400, "reserved"},
		{"a body over 64 KiB", "/flags/a", `{"value": "` + strings.Repeat("x", 64<<10) + `"}`, 413, "over 65536 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, answer := p.must(t, "PUT", tt.path, tt.body)
			assert.Equal(t, tt.status, status)
			assert.Contains(t, answer["error"], tt.message)
		})
	}
	_, list := p.must(t, "GET", "/flags", "")
	assert.Empty(t, list["flags"], "none of it was stored")
}
