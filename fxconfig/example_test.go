package fxconfig_test

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxconfig"
)

type HTTPConfig struct {
	BaseURL  string          `yaml:"baseURL"`
	Timeout  time.Duration   `yaml:"timeout"`
	Tags     []string        `yaml:"tags"`
	Proxy    *ProxyConfig    `yaml:"proxy"`
	Password fxconfig.Secret `yaml:"password"`
}

type ProxyConfig struct {
	Host string `yaml:"host"`
}

func (c HTTPConfig) Validate() error {
	if c.BaseURL == "" {
		return fxconfig.At("baseURL", errors.New("is required"))
	}
	return nil
}

func Example() {
	app := fx.New(
		fxconfig.From(fxconfig.Text("config.yaml", "http: {baseURL: http://a, timeout: 3s}")), // a program has fxconfig.Module here
		fxconfig.Section[HTTPConfig]("http"),
		fx.Invoke(func(cfg HTTPConfig) { fmt.Println(cfg.BaseURL, cfg.Timeout) }),
		fx.NopLogger,
	)
	fmt.Println(app.Err())
	// Output:
	// http://a 3s
	// <nil>
}

func ExampleLoad() {
	c, err := fxconfig.Load(
		fxconfig.Text("config.yaml", `
http:
  baseURL: http://a
  timeout: 3s
  tags: [dev, local]
  proxy: {host: p}
`),
		fxconfig.Text("config.prod.yaml", `
http:
  baseURL: https://b
  tags: [prod]
  proxy: null
`),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg, err := fxconfig.Get[HTTPConfig](c, "http")
	fmt.Println(cfg.BaseURL, cfg.Timeout, cfg.Tags, cfg.Proxy, err)
	fmt.Println(c.Origin("http.baseURL"), c.Origin("http.timeout"))
	// Output:
	// https://b 3s [prod] <nil> <nil>
	// config.prod.yaml:3:3 config.yaml:4:3
}

func ExampleConfig_Decode() {
	c, _ := fxconfig.Load(fxconfig.Text("config.yaml", `
http:
  default: {timeout: 3s, tags: [a]}
  main: {baseURL: http://b, tags: [b]}
`))
	cfg := HTTPConfig{Timeout: time.Second, Proxy: &ProxyConfig{Host: "p"}}
	err := c.Decode(&cfg, "http.default", "http.main")
	fmt.Println(cfg.BaseURL, cfg.Timeout, cfg.Tags, cfg.Proxy.Host, err)
	// Output: http://b 3s [b] p <nil>
}

func ExampleConfig_Decode_problems() {
	c, _ := fxconfig.Load(
		fxconfig.Text("config.yaml", `
etcd:
  clients:
    main: {endpiont: [127.0.0.1:2379]}
`),
		fxconfig.Text("config.prod.yaml", "http:\n  baseURL: x\n  timeout: 5\n"),
	)
	var cfg struct {
		HTTP HTTPConfig
		Etcd struct {
			Clients map[string]struct{ Endpoints []string }
		}
	}
	err := c.Decode(&cfg)
	fmt.Println(err)

	var e *fxconfig.Error
	if errors.As(err, &e) {
		fmt.Println(len(e.Problems), e.Problems[0].Path)
	}
	// Output:
	// config.yaml:4:12: etcd.clients.main.endpiont: unknown key (did you mean "endpoints"?)
	// config.prod.yaml:3:12: http.timeout: expected a duration with its unit, such as 5s or 5ms, found the bare number 5
	// 2 etcd.clients.main.endpiont
}

func ExampleValidate() {
	c, _ := fxconfig.Load(fxconfig.Text("config.yaml", "\nhttp:\n  timeout: 3s\n"))
	_, err := fxconfig.Get[HTTPConfig](c, "http")
	fmt.Println(err)

	fmt.Println(fxconfig.Validate(map[string]HTTPConfig{"main": {}})) // from code: no positions
	// Output:
	// config.yaml:2:1: http.baseURL: is required
	// main.baseURL: is required
}

func ExampleText_variables() {
	_ = os.Setenv("EXAMPLE_HOST", "db.internal")
	defer func() { _ = os.Unsetenv("EXAMPLE_HOST") }()
	c, _ := fxconfig.Load(fxconfig.Text("config.yaml", `
url: postgres://${EXAMPLE_HOST}:${EXAMPLE_PORT:5432}/shop
port: ${EXAMPLE_PORT:5432}
limits: {depth: "${EXAMPLE_DEPTH:3}"}
literal: $${EXAMPLE_HOST}
http:
  password: ${HTTP_PASSWORD}
shell: ${EXAMPLE_PORT:-5432}
`))
	for _, path := range []string{"url", "port", "literal", "http.password", "shell"} {
		v, err := fxconfig.Get[any](c, path)
		fmt.Printf("%#v %v\n", v, err)
	}
	depth, err := fxconfig.Get[int](c, "limits.depth")
	fmt.Println(depth, err)
	// Output:
	// "postgres://db.internal:5432/shop" <nil>
	// 5432 <nil>
	// "${EXAMPLE_HOST}" <nil>
	// <nil> config.yaml:7:13: http.password: the environment variable HTTP_PASSWORD is not set, and ${HTTP_PASSWORD} has no default (${HTTP_PASSWORD:default} gives one)
	// <nil> config.yaml:8:8: shell: ${EXAMPLE_PORT:-…} is the shell's spelling of a default; here it is ${EXAMPLE_PORT:…}
	// 3 <nil>
}

func ExampleValue() {
	level := "debug" // from a flag
	c, _ := fxconfig.Load(fxconfig.Text("config.yaml", "log: {level: info, encoding: json}"), fxconfig.Value("log.level", level))
	got, err := fxconfig.Get[map[string]string](c, "log")
	fmt.Println(got, err)
	// Output: map[encoding:json level:debug] <nil>
}

func ExampleSecret() {
	c, _ := fxconfig.Load(fxconfig.Text("config.yaml", "http: {baseURL: x, password: hunter2}"))
	cfg, _ := fxconfig.Get[HTTPConfig](c, "http")
	fmt.Printf("%v %+v\n", cfg.Password, cfg)
	fmt.Println(cfg.Password.Reveal())
	// Output:
	// [redacted] {BaseURL:x Timeout:0s Tags:[] Proxy:<nil> Password:[redacted]}
	// hunter2
}

func ExamplePath() {
	c, _ := fxconfig.Load(fxconfig.Text("config.yaml", "clients: {a.b: {x: 1}, c: {x: 2}}"))
	for _, name := range c.Keys("clients") {
		path := fxconfig.Path("clients", name)
		fmt.Println(path, c.Origin(path))
	}
	// Output:
	// clients."a.b" config.yaml:1:11
	// clients.c config.yaml:1:24
}
