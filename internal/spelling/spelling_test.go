package spelling_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/internal/spelling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"endpoints", "dialTimeout", "tls", "audit"}
	for _, tt := range []struct{ name, given, want string }{
		{"two swapped letters", "endpiont", "endpoints"},
		{"case only", "ENDPOINTS", "endpoints"},
		{"another way to separate words", "dial-timeout", "dialTimeout"},
		{"one letter too many", "audiit", "audit"},
		{"a short name with one wrong letter", "tsl", "tls"},
		{"nothing like it", "password", ""},
		{"a known name has no misspelling", "zzz", ""},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := spelling.Nearest(tt.given, known)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.want != "", ok)
		})
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	assert.Equal(t, ` (did you mean "audit"?)`, spelling.Hint("audti", []string{"audit"}))
	assert.Empty(t, spelling.Hint("audit", nil))
	assert.Equal(t, `"a", "b"`, spelling.List([]string{"a", "b"}))
	assert.Equal(t, "none", spelling.List(nil))
}
