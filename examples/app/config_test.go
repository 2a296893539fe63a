package main_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
	"github.com/fxkit/fxkit/fxetcd/registry"
	"github.com/fxkit/fxkit/fxscope"
)

func TestThe_configuration_shows_every_key(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../config.yaml")
	require.NoError(t, err)
	for section, cfg := range map[string]any{
		"etcd": fxetcd.Config{}, "embedded": embedded.Config{}, "registry": registry.Config{}, "exclusive": exclusive.Config{}, "scope": fxscope.Config{},
	} {
		_, after, found := strings.Cut(string(text), section+":")
		assert.True(t, found, section)
		for _, key := range keysOf(reflect.TypeOf(cfg)) {
			assert.Contains(t, after, key+":", "section %s", section)
		}
	}
}

// keysOf are the keys of a configuration struct and of those inside it.
func keysOf(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if key != "" && key != "-" {
			keys = append(keys, key)
			keys = append(keys, keysOf(t.Field(i).Type)...)
		}
	}
	return keys
}
