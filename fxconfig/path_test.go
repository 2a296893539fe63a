package fxconfig_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxconfig"
)

func TestPath_quotes_the_keys_that_need_it(t *testing.T) {
	t.Parallel()
	for want, keys := range map[string][]string{
		"":                    nil,
		"a":                   {"a"},
		"a.b":                 {"a", "b"},
		`etcd.clients."a.b"`:  {"etcd", "clients", "a.b"},
		`""`:                  {""},
		`a."".b`:              {"a", "", "b"},
		`"\"x"`:               {`"x`},
		`x"`:                  {`x"`},
		`"a\nb"`:              {"a\nb"},
		`ключ.with space.a/b`: {"ключ", "with space", "a/b"},
	} {
		assert.Equal(t, want, fxconfig.Path(keys...))
	}
}

func TestPath_finds_any_key_there_is(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringMatching(`[a."\\\n ]*`)), 1, 4).Draw(t, "keys")
		value := any(map[string]any{"x": 1})
		for i := len(keys) - 1; i >= 0; i-- {
			value = map[string]any{keys[i]: value}
		}
		c, err := fxconfig.Load(fxconfig.Value("", value))
		require.NoError(t, err)
		path := fxconfig.Path(keys...)
		require.True(t, c.Has(path), path)
		require.Equal(t, []string{"x"}, c.Keys(path))
		got, err := fxconfig.Get[int](c, path+".x")
		require.NoError(t, err)
		require.Equal(t, 1, got)
		if _, err := fxconfig.Get[struct{ Y int }](c, path); err != nil {
			require.ErrorContains(t, err, path+".x: unknown key", "and problems name it by its path")
		}
	})
}
