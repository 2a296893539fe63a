package fxconfig_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/fxconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load reads documents as config.yaml, config.1.yaml and so on, each above the one before.
func load(t testing.TB, documents ...string) *fxconfig.Config {
	t.Helper()
	c, err := fxconfig.Load(texts(documents...)...)
	require.NoError(t, err)
	return c
}

func texts(documents ...string) []fxconfig.Source {
	var sources []fxconfig.Source
	for i, d := range documents {
		name := "config.yaml"
		if i > 0 {
			name = "config." + strings.Repeat("x", i) + ".yaml"
		}
		sources = append(sources, fxconfig.Text(name, d))
	}
	return sources
}

// tree is the whole configuration as plain Go values.
func tree(t testing.TB, c *fxconfig.Config) any {
	t.Helper()
	var v any
	require.NoError(t, c.Decode(&v))
	return v
}

// decode loads one document and decodes all of it; either may be what fails.
func decode(document string, into any) error {
	c, err := fxconfig.Load(fxconfig.Text("config.yaml", document))
	if err != nil {
		return err
	}
	return c.Decode(into)
}

// problems are those of an *Error, which err must be or wrap.
func problems(t testing.TB, err error) []fxconfig.Problem {
	t.Helper()
	var e *fxconfig.Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Problems)
	return e.Problems
}
