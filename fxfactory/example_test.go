package fxfactory_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxfactory"
	"github.com/fxkit/fxkit/fxlifecycle"
)

type HTTPConfig struct {
	BaseURL string        `yaml:"baseURL"`
	Timeout time.Duration `yaml:"timeout"`
}

func (c HTTPConfig) Validate() error {
	if c.Timeout < 0 {
		return fxconfig.At("timeout", errors.New("must not be negative"))
	}
	return nil
}

type HTTPClient struct {
	http.Client

	base string
}

func NewHTTPSpec() fxfactory.Spec[*HTTPClient, HTTPConfig] {
	return fxfactory.Spec[*HTTPClient, HTTPConfig]{
		Create: func(_ context.Context, _ string, cfg HTTPConfig) (*HTTPClient, error) {
			return &HTTPClient{Client: http.Client{Timeout: cfg.Timeout}, base: cfg.BaseURL}, nil
		},
		Destroy: func(_ context.Context, c *HTTPClient) error { c.CloseIdleConnections(); return nil },
	}
}

// A factory is complete without Fx and without YAML. These Settings say what the section in the other example says.
func Example_withoutFx() {
	ctx := context.Background()
	clients, err := fxfactory.New(ctx, "httpClient", NewHTTPSpec(), fxfactory.Settings[HTTPConfig]{
		Default: func(c *HTTPConfig) { c.Timeout = 3 * time.Second }, // default
		Clients: map[string]func(*HTTPConfig){
			"default": func(c *HTTPConfig) { c.BaseURL = "http://a" }, // client
			"aaa":     func(c *HTTPConfig) { c.BaseURL = "http://b" }, // clients
			"bbb":     func(c *HTTPConfig) { c.BaseURL, c.Timeout = "http://c", 10*time.Second },
		},
		DefaultName: "aaa",                                                                      // defaultClientName
		Priorities:  map[string]fxfactory.Priority{"aaa": fxfactory.High, "bbb": fxfactory.Low}, // clientPriority
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := clients.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer clients.Stop(ctx) //nolint:errcheck // nothing to be done about it here

	byDefault, _ := clients.Default()
	fmt.Println(clients.Names(), "default:", byDefault.base)
	bbb, _ := clients.Get("bbb")
	fmt.Println(bbb.base, bbb.Timeout, clients.Priority("bbb"))

	// At run time.
	tenant, err := clients.GetOrCreate(ctx, "tenant-7", func(c *HTTPConfig) { c.BaseURL = "http://seven" })
	fmt.Println(tenant.base, tenant.Timeout, err)
	fmt.Println(clients.Remove(ctx, "tenant-7"))
	_, err = clients.Get("aab")
	fmt.Println(err)
	// Output:
	// [aaa bbb default] default: http://b
	// http://c 10s Low
	// http://seven 3s <nil>
	// <nil>
	// fxfactory: get httpClient "aab": no such instance (did you mean "aaa"?); known: "aaa", "bbb", "default"
}

func Example_withFx() {
	type In struct {
		fx.In

		Clients *fxfactory.Factory[*HTTPClient, HTTPConfig]
		Default *HTTPClient
		B       *HTTPClient                       `name:"bbb"`
		All     []fxfactory.Instance[*HTTPClient] `group:"httpClient"`
	}
	app := fx.New(
		fx.NopLogger,
		fxlifecycle.Coordinate(),
		fxconfig.From(fxconfig.Text("config.yaml", `
httpClient:
  default: {timeout: 3s}            # merged under every instance
  client: {baseURL: http://a}       # short for clients.default
  clients:
    aaa: {baseURL: http://b}
    bbb: {baseURL: http://c, timeout: 10s}
  defaultClientName: aaa
  clientPriority: {aaa: High, bbb: L3}
`)),
		fxfactory.Module[*HTTPClient, HTTPConfig]("httpClient", NewHTTPSpec),
		fxfactory.Named[*HTTPClient, HTTPConfig]("bbb"),
		fx.Invoke(func(in In) {
			fmt.Println(in.Clients.Names(), "default:", in.Default.base)
			fmt.Println(in.B.base, in.B.Timeout, in.Clients.Priority("bbb"))
			fmt.Println(len(in.All), "instances in the group")
		}),
	)
	ctx := context.Background()
	fmt.Println(app.Start(ctx), app.Stop(ctx))
	// Output:
	// [aaa bbb default] default: http://b
	// http://c 10s Low
	// 3 instances in the group
	// <nil> <nil>
}

// What is wrong with a section is reported by fx.New, all of it, with its place.
func Example_errors() {
	app := fx.New(
		fx.NopLogger,
		fxconfig.From(fxconfig.Text("config.yaml", `
httpClient:
  default: {timeout: 3}
  clients:
    aaa: {baseUrl: http://b}
  defaultClientName: aa
`)),
		fxfactory.Module[*HTTPClient, HTTPConfig]("httpClient", NewHTTPSpec),
	)
	fmt.Println(dig.RootCause(app.Err()))
	// Output:
	// fxfactory: configure httpClient: config.yaml:3:22: httpClient.default.timeout: expected a duration with its unit, such as 3s or 3ms, found the bare number 3
	// config.yaml:5:11: httpClient.clients.aaa.baseUrl: unknown key (did you mean "baseURL"?)
	// config.yaml:6:3: httpClient.defaultClientName: no instance "aa" (did you mean "aaa"?); known: "aaa"
}

// Replace changes an instance while it is in use: those who hold the old one have ten seconds to finish.
func ExampleFactory_Replace() {
	ctx := context.Background()
	clients, err := fxfactory.New(ctx, "httpClient", NewHTTPSpec(), fxfactory.Settings[HTTPConfig]{
		Clients: map[string]func(*HTTPConfig){"main": func(c *HTTPConfig) { c.BaseURL, c.Timeout = "http://a", time.Second }},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer clients.Stop(ctx) //nolint:errcheck // nothing to be done about it here
	_, err = clients.Replace(ctx, "main", func(c *HTTPConfig) { c.BaseURL = "http://b" })
	now, _ := clients.Get("main")
	fmt.Println(now.base, now.Timeout, err)
	_, err = clients.Replace(ctx, "main", func(c *HTTPConfig) { c.Timeout = -1 })
	fmt.Println(err)
	// Output:
	// http://b 1s <nil>
	// fxfactory: replace httpClient "main": timeout: must not be negative
}

// Open makes an instance that nobody else can find.
func ExampleFactory_Open() {
	ctx := context.Background()
	clients, err := fxfactory.New(ctx, "httpClient", NewHTTPSpec(), fxfactory.Settings[HTTPConfig]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer clients.Stop(ctx) //nolint:errcheck // nothing to be done about it here
	private, closePrivate, err := clients.Open(ctx, func(c *HTTPConfig) { c.BaseURL = "http://once" })
	fmt.Println(private.base, clients.Len(), err)
	fmt.Println(closePrivate(ctx))
	// Output:
	// http://once 0 <nil>
	// <nil>
}
