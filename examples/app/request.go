package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// A requestError is the client's fault, and says what would have been right.
type requestError struct {
	status  int
	message string
}

func (e *requestError) Error() string { return e.message }

func badRequest(format string, args ...any) error {
	return &requestError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// flagKey is the key in the request's path.
func flagKey(r *http.Request) (string, error) {
	key := r.PathValue("key")
	if !keyPattern.MatchString(key) {
		return "", badRequest("key %.200q: want 1 to 128 letters, digits, dots, dashes or underscores, and a letter or digit first", key)
	}
	if key == "events" {
		return "", badRequest(`key "events" is reserved`)
	}
	return key, nil
}

const maxBody = 64 << 10

// write is the body of a PUT.
type write struct {
	Value     json.RawMessage `json:"value"`
	Enabled   *bool           `json:"enabled"`
	TTL       *string         `json:"ttl"`
	Notify    string          `json:"notify"`
	IfVersion *int64          `json:"if-version"`
}

// readWrite reads the body of a PUT: what to store, and the version to which that is bound, if any.
func readWrite(w http.ResponseWriter, r *http.Request) (Content, *int64, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return Content{}, nil, &requestError{http.StatusRequestEntityTooLarge, fmt.Sprintf("body is over %d bytes", tooLarge.Limit)}
	} else if err != nil {
		return Content{}, nil, badRequest("body: %v", err)
	}
	var in write
	if err := decodeJSON(body, &in); err != nil {
		return Content{}, nil, err
	}
	if in.Value == nil {
		return Content{}, nil, badRequest(`"value" is missing: any JSON value will do`)
	}
	if in.IfVersion != nil && *in.IfVersion < 0 {
		return Content{}, nil, badRequest(`"if-version" is %d: want the version that you read, or 0 for a flag that must not exist`, *in.IfVersion)
	}
	content := Content{Value: in.Value, Enabled: in.Enabled == nil || *in.Enabled, Notify: in.Notify}
	if in.TTL != nil {
		ttl, err := time.ParseDuration(*in.TTL)
		if err != nil || ttl <= 0 {
			return Content{}, nil, badRequest(`"ttl" is %q: want a positive duration, as in "90s" or "24h"`, *in.TTL)
		}
		content.Expires = time.Now().Add(ttl).UTC()
	}
	return content, in.IfVersion, nil
}

// decodeJSON decodes exactly one JSON value without unknown fields, and says where it is wrong.
func decodeJSON(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		offset := decoder.InputOffset()
		if rest := bytes.TrimLeft(body[offset:], " \t\r\n"); len(rest) > 0 {
			return badRequest("body, %s: more after the end of the JSON value", place(body, int64(len(body)-len(rest))))
		}
		return nil
	}
	syntax, wrongType := new(json.SyntaxError), new(json.UnmarshalTypeError)
	switch {
	case errors.As(err, &syntax):
		return badRequest("body, %s: %v", place(body, max(0, syntax.Offset-1)), syntax)
	case errors.As(err, &wrongType):
		return badRequest("body, %s: %q is a %s, want %s", place(body, wrongType.Offset), wrongType.Field, wrongType.Value, wrongType.Type)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest("body, %s: the JSON value is incomplete", place(body, int64(len(body))))
	default: // an unknown field; the decoder has stopped behind it
		message := strings.TrimPrefix(err.Error(), "json: ")
		return badRequest("body, %s: %s: known are value, enabled, ttl, notify and if-version", place(body, decoder.InputOffset()), message)
	}
}

// place is an offset as a person counts it.
func place(body []byte, offset int64) string {
	before := body[:min(offset, int64(len(body)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}
