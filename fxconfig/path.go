package fxconfig

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Path joins keys to a dotted path and quotes those that need it: Path("clients", "a.b") is `clients."a.b"`.
func Path(keys ...string) string {
	var b strings.Builder
	room := 0
	for _, key := range keys {
		room += len(key) + 3
	}
	b.Grow(room)
	for _, key := range keys {
		writeKey(&b, key)
	}
	return b.String()
}

func writeKey(b *strings.Builder, key string) {
	if b.Len() > 0 {
		b.WriteByte('.')
	}
	if plainKey(key) {
		b.WriteString(key)
		return
	}
	b.WriteString(strconv.Quote(key))
}

// plainKey tells whether key can stand in a path without quotes.
func plainKey(key string) bool {
	if key == "" || key[0] == '"' {
		return false
	}
	for _, r := range key {
		if r == '.' || r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// joinPaths puts one path beneath another; either may be empty.
func joinPaths(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "." + b
}

// cutPath takes the first key from a path that is not empty. more tells whether a dot, so another key, follows.
func cutPath(path string) (key, rest string, more bool, err error) {
	if path[0] != '"' {
		key, rest, more = strings.Cut(path, ".")
		if key == "" {
			return "", "", false, errors.New(`a key is empty (one that is empty, or has dots, needs quotes: a."b.c")`)
		}
	} else {
		quoted, err := strconv.QuotedPrefix(path)
		if err == nil {
			key, err = strconv.Unquote(quoted)
		}
		if err != nil {
			return "", "", false, errors.New("the quotes around a key are not closed, or hold what Go would not read")
		}
		rest, more = strings.CutPrefix(path[len(quoted):], ".")
		if !more && rest != "" {
			return "", "", false, fmt.Errorf("a dot must follow the quoted key %s", quoted)
		}
	}
	if more && rest == "" {
		return "", "", false, errors.New("it ends with a dot")
	}
	return key, rest, more, nil
}

// splitPath gives all keys of a path; none for the empty path.
func splitPath(path string) ([]string, error) {
	var keys []string
	rest := path
	for more := path != ""; more; {
		var key string
		var err error
		if key, rest, more, err = cutPath(rest); err != nil {
			return nil, pathError(path, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func pathError(path string, err error) error { return fmt.Errorf("fxconfig: path %q: %w", path, err) }
