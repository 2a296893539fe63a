package fxfactory_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxfactory"
)

type config struct {
	URL     string        `yaml:"url"`
	Timeout time.Duration `yaml:"timeout"`
}

type client struct {
	name string
	config
}

func newSpec() fxfactory.Spec[*client, config] {
	return fxfactory.Spec[*client, config]{
		Create: func(_ context.Context, name string, cfg config) (*client, error) { return &client{name, cfg}, nil },
	}
}

func TestSmoke(t *testing.T) {
	type in struct {
		fx.In
		Default *client
		B       *client                       `name:"b"`
		All     []fxfactory.Instance[*client] `group:"http"`
		F       *fxfactory.Factory[*client, config]
	}
	var got in
	app := fxtest.New(t, fx.NopLogger,
		fxconfig.From(fxconfig.Text("config.yaml", `
http:
  default: {timeout: 3s}
  client: {url: a}
  clients:
    b: {url: b, timeout: 1s}
`)),
		fxfactory.Module[*client, config]("http", newSpec),
		fxfactory.Named[*client, config]("b"),
		fx.Invoke(func(i in) { got = i }),
	)
	app.RequireStart()
	assert.Equal(t, &client{"default", config{"a", 3 * time.Second}}, got.Default)
	assert.Equal(t, &client{"b", config{"b", time.Second}}, got.B)
	assert.Len(t, got.All, 2)
	require.Equal(t, 2, got.F.Len())
	app.RequireStop()
	assert.Equal(t, 0, got.F.Len())
}

func TestSmokeFail(t *testing.T) {
	app := fx.New(fx.NopLogger,
		fxconfig.From(fxconfig.Text("config.yaml", `
http:
  default: {timeout: 3s, x: 1}
  client: {url: a}
  clients:
    b: {url: b, timeout: 1}
  clientPriority: {c: High, b: x}
  foo: 1
  defaultClientName: z
`)),
		fxfactory.Module[*client, config]("http", newSpec),
		fxfactory.Named[*client, config]("b"),
	)
	t.Log(app.Err())
	app = fx.New(fx.NopLogger,
		fxconfig.From(fxconfig.Text("config.yaml", `
http:
  client: {url: a}
`)),
		fxfactory.Module[*client, config]("http", newSpec),
		fxfactory.Named[*client, config]("b"),
	)
	t.Log(app.Err())
}
