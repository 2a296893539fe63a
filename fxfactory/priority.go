package fxfactory

import (
	"fmt"
	"strings"

	"github.com/fxkit/fxkit/internal/spelling"
)

// Priority says how much an application depends on an instance. High instances are created and started first and destroyed last;
// a Low one may fail without failing the application.
type Priority int

// The priorities. Medium, the zero value, is that of an instance for which none is configured.
const (
	Medium Priority = iota
	High
	Low
)

// startOrder is the order of start; stop is the reverse.
var startOrder = [...]Priority{High, Medium, Low}

func (p Priority) valid() bool { return p >= Medium && p <= Low }

// String is High, Medium or Low.
func (p Priority) String() string {
	switch p {
	case High:
		return "High"
	case Medium:
		return "Medium"
	case Low:
		return "Low"
	default:
		return fmt.Sprintf("Priority(%d)", int(p))
	}
}

// MarshalText writes what UnmarshalText reads.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads High, Medium or Low, or L1, L2 or L3, in any case.
func (p *Priority) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "high", "l1":
		*p = High
	case "medium", "l2":
		*p = Medium
	case "low", "l3":
		*p = Low
	default:
		hint := spelling.Hint(string(text), []string{"High", "Medium", "Low"})
		return fmt.Errorf("unknown priority %q%s: one of High, Medium, Low, or L1, L2, L3", text, hint)
	}
	return nil
}
