package fxconfig_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
)

const hunter = "hunter2"

type account struct {
	User     string
	Password fxconfig.Secret
	Pointer  *fxconfig.Secret
	List     []fxconfig.Secret
	ByName   map[string]fxconfig.Secret
	Any      any
}

func secrets() account {
	s := fxconfig.Secret(hunter)
	return account{"u", s, &s, []fxconfig.Secret{s}, map[string]fxconfig.Secret{"k": s}, s}
}

func TestG8_a_secret_prints_as_redacted(t *testing.T) {
	t.Parallel()
	s := fxconfig.Secret(hunter)
	assert.Equal(t, hunter, s.Reveal())
	assert.Equal(t, "[redacted]", s.String())
	assert.Equal(t, "[redacted]", s.GoString())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%-10v", "%t", "%f", "%c", "%U", "% x", "%b"} {
		for _, value := range []any{s, &s, []fxconfig.Secret{s}, secrets(), map[string]any{"a": s}, struct{ X fxconfig.Secret }{s}, fmt.Errorf("wrapped %v", s)} {
			out := fmt.Sprintf(verb, value)
			assert.NotContains(t, out, hunter, verb)
			assert.NotContains(t, out, fmt.Sprintf("%x", hunter), verb)
			assert.NotContains(t, out, fmt.Sprintf("%X", hunter), verb)
		}
		assert.Equal(t, "[redacted]", fmt.Sprintf(verb, s), verb)
	}
	assert.Equal(t, "[redacted]", fmt.Sprint(s))
}

func TestG8_a_secret_is_redacted_in_logs_and_documents(t *testing.T) {
	t.Parallel()
	s, all := fxconfig.Secret(hunter), secrets()
	var out bytes.Buffer

	for _, encoder := range []zapcore.Encoder{zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())} {
		log := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel))
		log.Info("x", zap.Any("a", s), zap.Any("b", all), zap.Any("c", &s), zap.Any("d", []fxconfig.Secret{s}), zap.Stringer("e", s), zap.Reflect("f", all),
			zap.Error(fmt.Errorf("%v", s)), zap.Any("g", map[string]any{"k": s}), zap.Reflect("h", s))
		log.Sugar().Infow("y", "a", s, "b", all)
		log.Sugar().Infof("%v %+v", s, all)
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("x", "a", s, "b", all, "c", &s, slog.Any("d", []fxconfig.Secret{s}), slog.Group("g", "h", s))
	}
	j, err := json.Marshal(all)
	require.NoError(t, err)
	y, err := yaml.Marshal(all)
	require.NoError(t, err)
	type element struct {
		A fxconfig.Secret
		B fxconfig.Secret `xml:",attr"`
	}
	x, err := xml.Marshal(element{s, s})
	require.NoError(t, err)
	out.Write(j)
	out.Write(y)
	out.Write(x)
	assert.NotContains(t, out.String(), hunter)
	assert.Greater(t, strings.Count(out.String(), "[redacted]"), 40)
}

func TestC3_problems_never_quote_what_fills_a_secret(t *testing.T) {
	t.Parallel()
	type config struct {
		Password fxconfig.Secret
		List     []fxconfig.Secret
		Map      map[string]fxconfig.Secret
		Array    [2]fxconfig.Secret
		Struct   account
		Pointer  *fxconfig.Secret
		Func     funcSecret
	}
	for _, document := range []string{
		"password: [hunter2]", "password: {hunter: hunter2}", "password: !!binary hunter2%", "passwort: hunter2", "list: hunter2", "list: [[hunter2]]", "list: {a: hunter2}",
		"map: hunter2", "map: [hunter2]", "map: {a: [hunter2]}", "array: [hunter2]", "array: hunter2", "struct: hunter2", "struct: {passwort: hunter2}",
		"pointer: [hunter2]", "password: ${FXC_NO:-hunter2}", `password: "hunter2${FXC_NO}"`, `password: "${hunter2 "`, `password: "x${ hunter2}"`, `password: "${FXC_NO}hunter2}"`,
		"password: hunter2\npassword: hunter2", "struct: {password: hunter2, password: hunter2}", "func: {password: [hunter2]}", "func: hunter2",
		`password: "hunter2`, "password: @hunter2", "password: %hunter2", "password: hunter2: x", "list: [hunter2", "password: 'hunter2\n", "password: \"\\hunter2\"", "password: !!null hunter2",
	} {
		var got config
		err := decode(document, &got)
		require.Error(t, err, document)
		assert.NotContains(t, err.Error(), hunter, document)
		assert.NotContains(t, fmt.Sprintf("%+v %#v", err, err), hunter, document)
	}
}

type funcSecret struct{ Password fxconfig.Secret }

func (f *funcSecret) UnmarshalYAML(unmarshal func(any) error) error {
	type plain funcSecret
	return unmarshal((*plain)(f))
}

func TestG8_sources_print_without_their_values(t *testing.T) {
	t.Parallel()
	for _, s := range []fxconfig.Source{
		fxconfig.Text("config.yaml", "password: hunter2"), fxconfig.Value("a.password", fxconfig.Secret(hunter)), fxconfig.Optional(fxconfig.Value("a", hunter)),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			assert.NotContains(t, fmt.Sprintf(verb, s), hunter)
			assert.NotContains(t, fmt.Sprintf(verb, []fxconfig.Source{s}), hunter)
		}
	}
	c := load(t, "password: hunter2")
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), hunter)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", *c, *c, *c), hunter)
}
