package fxconfig

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Path joins keys to a dotted path and quotes those that need it: Path("clients", "a.b") is `clients."a.b"`.
func Path(keys ...string) string {
	var b strings.Builder
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
	if path[0] == '"' {
		quoted, qerr := strconv.QuotedPrefix(path)
		if qerr == nil {
			key, qerr = strconv.Unquote(quoted)
		}
		if qerr != nil {
			return "", "", false, fmt.Errorf("fxconfig: path %s: a quoted key lacks its closing quote", path)
		}
		rest = path[len(quoted):]
		if rest == "" {
			return key, "", false, nil
		}
		if rest[0] != '.' {
			return "", "", false, fmt.Errorf("fxconfig: path %s: a dot must follow the quoted key %s", path, quoted)
		}
		return key, rest[1:], true, emptyRest(path, rest[1:])
	}
	key, rest, more = strings.Cut(path, ".")
	if key == "" {
		return "", "", false, fmt.Errorf("fxconfig: path %q: a key is empty (quote a key that is itself empty or has dots: a.%q)", path, "b.c")
	}
	if more {
		return key, rest, true, emptyRest(path, rest)
	}
	return key, "", false, nil
}

func emptyRest(path, rest string) error {
	if rest == "" {
		return fmt.Errorf("fxconfig: path %q: ends with a dot", path)
	}
	return nil
}

// splitPath gives all keys of a path; none for the empty path.
func splitPath(path string) ([]string, error) {
	var keys []string
	for more := path != ""; more; {
		var key string
		var err error
		if key, path, more, err = cutPath(path); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}
