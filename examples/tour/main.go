// Command tour is a whole program made of fxkit: what each package feels like to a user.
package main

import (
	"context"
	"net/http"
	"time"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxfactory"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/fxscope"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/zap"
)

// A client of one's own becomes a family of named instances, configured in section httpClient.
type HTTPConfig struct {
	BaseURL string        `yaml:"baseURL"`
	Timeout time.Duration `yaml:"timeout"`
}

type HTTPClient struct {
	http.Client
	base string
}

func NewHTTPSpec(log *zap.Logger) fxfactory.Spec[*HTTPClient, HTTPConfig] {
	return fxfactory.Spec[*HTTPClient, HTTPConfig]{
		Create: func(ctx context.Context, name string, cfg HTTPConfig) (*HTTPClient, error) {
			return &HTTPClient{Client: http.Client{Timeout: cfg.Timeout}, base: cfg.BaseURL}, nil
		},
		Destroy: func(ctx context.Context, c *HTTPClient) error { c.CloseIdleConnections(); return nil },
	}
}

// Implementations chosen by key.
type Channel string

var ByChannel = fxqualifier.NewAttribute[Channel]("channel")

type Notifier interface {
	Notify(ctx context.Context, text string) error
}

// A singleton with hooks: Init when the application starts, PreDestroy before anything closes.
type Ledger struct{ kv *clientv3.Client }

func NewLedger(lc fx.Lifecycle, kv *clientv3.Client) (*Ledger, error) {
	return fxlifecycle.Manage(lc, &Ledger{kv})
}
func (l *Ledger) Init(ctx context.Context) error       { return nil }
func (l *Ledger) PreDestroy(ctx context.Context) error { return nil }

// One Orders per request; singletons, other request objects and the request itself are its dependencies.
type Orders struct {
	ledger *Ledger
	req    *http.Request
	tasks  *fxbackground.Group
	notify *fxqualifier.Set[Notifier]
}

func NewOrders(l *Ledger, r *http.Request, t *fxbackground.Group, n *fxqualifier.Set[Notifier]) *Orders {
	return &Orders{l, r, t, n}
}

func (o *Orders) Place(ctx context.Context) error {
	return o.tasks.Run(ctx, "notify", func(ctx context.Context) error {
		n, err := o.notify.Get(ctx, ByChannel.Of("mail"))
		if err != nil {
			return err
		}
		return n.Notify(ctx, "placed")
	})
}

func Serve(lc fx.Lifecycle, scopes *fxscope.Scopes) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		orders, err := fxscope.Get[*Orders](r.Context())
		if err == nil {
			err = orders.Place(r.Context())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	_, err := fxlifecycle.Serve(lc, &http.Server{Addr: ":8080", Handler: scopes.Middleware(mux)})
	return err
}

type mail struct{ gate *HTTPClient }

type MailParams struct {
	fx.In
	Gate *HTTPClient `name:"mailgate"`
}

func NewMail(p MailParams) *mail { return &mail{p.Gate} }

func (m *mail) Notify(context.Context, string) error { return nil }

func main() {
	fx.New(
		fxlifecycle.Coordinate(),
		fxconfig.Module,
		fxetcd.Module,
		fxetcd.Named("audit"),
		fxfactory.Module[*HTTPClient, HTTPConfig]("httpClient", NewHTTPSpec),
		fxfactory.Named[*HTTPClient, HTTPConfig]("mailgate"),
		fxbackground.Module,
		fxscope.Module,
		fxscope.Provide(NewOrders),
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail")),
		fxqualifier.Collect[Notifier](),
		fx.Provide(NewLedger, zap.NewProduction),
		fx.Invoke(Serve),
	).Run()
}
