package fxconfig

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is text that must not be printed: a password, a token. It prints as "[redacted]" through package fmt (with every
// verb, %#v too), zap, log/slog, JSON and YAML, and no problem quotes it. Reveal gives the text.
//
// Out of its reach are: an unexported field, which fmt and reflection read without asking its type, so keep Secrets in exported
// ones; the keys of a map in JSON; fmt's %p, which is for pointers; and string(secret), which is a string.
type Secret string

const redacted = "[redacted]"

var (
	_ fmt.Formatter  = Secret("")
	_ slog.LogValuer = Secret("")
)

// Reveal is the text.
func (s Secret) Reveal() string { return string(s) }

// String is "[redacted]".
func (Secret) String() string { return redacted }

// GoString is "[redacted]".
func (Secret) GoString() string { return redacted }

// Format writes "[redacted]" for any verb: without it %d would print the text as a badly formatted value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText is "[redacted]", for JSON, YAML, XML and whatever else asks.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
