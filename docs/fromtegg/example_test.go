package fromtegg_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/fxscope"
)

func Example_contextProto() {
	handle := func(w http.ResponseWriter, r *http.Request) {
		cart, err := fxscope.Get[*Cart](r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, cart.user.Name, "pays", cart.prices.of["tea"])
	}
	run(
		fxscope.Module,
		fxscope.Provide(
			NewCart,
			func(r *http.Request) User { return User{r.Header.Get("X-User")} },
		),
		fx.Provide(NewPrices),
		fx.Invoke(func(scopes *fxscope.Scopes) {
			handler := scopes.Middleware(http.HandlerFunc(handle))
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/cart", nil)
			r.Header.Set("X-User", "ada")
			handler.ServeHTTP(w, r)
			fmt.Print(w.Body)
		}),
	)
	// Output: ada pays 3
}

func Example_singletonProto() {
	run(
		fx.Provide(NewPrices),
		fx.Invoke(func(one, other *Prices) { fmt.Println(one == other) }),
	)
	// Output: true
}

func Example_multiInstanceProto() {
	run(
		fxqualifier.Instances[*FileLog](LogPath, NewFileLog, "orders.log", "audit.log"),
		fx.Invoke(func(p AuditParams) { fmt.Println(p.Audit.path) }),
	)
	// Output: audit.log
}

func Example_multiInstanceProtoConfigured() {
	cfg, err := fxconfig.Load(fxconfig.Text("config.yaml", "logs: [orders.log, audit.log]"))
	if err != nil {
		fmt.Println(err)
		return
	}
	paths, err := fxconfig.Get[[]string](cfg, "logs")
	if err != nil {
		fmt.Println(err)
		return
	}
	run(
		fxqualifier.Instances[*FileLog](LogPath, NewFileLog, paths...),
		fxqualifier.Collect[*FileLog](),
		fx.Invoke(func(logs *fxqualifier.Set[*FileLog]) { fmt.Println(logs.Members()) }),
	)
	// Output: [[log_path=orders.log] [log_path=audit.log]]
}

func Example_inject() {
	run(
		fxqualifier.Instances[*FileLog](LogPath, NewFileLog, "audit.log"),
		fx.Provide(NewPrices),
		fx.Invoke(func(prices *Prices, p AuditParams) {
			fmt.Println(prices.of, p.Audit.path, p.Debug == nil)
		}),
	)
	// Output: map[tea:3] audit.log true
}

func Example_initTypeQualifier() {
	run(
		fxscope.Module,
		fx.Provide(NewVisits),
		fxscope.Provide(NewVisits, NewPage),
		fx.Invoke(func(scopes *fxscope.Scopes) error {
			visit := func(ctx context.Context) error {
				page, err := fxscope.Get[*Page](ctx)
				if err == nil {
					page.total.n++
					page.own.n++
					fmt.Println("total", page.total.n, "own", page.own.n)
				}
				return err
			}
			if err := scopes.Run(context.Background(), visit); err != nil {
				return err
			}
			return scopes.Run(context.Background(), visit)
		}),
	)
	// Output:
	// total 1 own 1
	// total 2 own 1
}

func Example_moduleQualifier() {
	run(
		fx.Module("billing",
			fxqualifier.Provide[*Repo](func() *Repo { return &Repo{"invoices"} }, InModule.Of("billing")),
		),
		fx.Module("orders",
			fxqualifier.Provide[*Repo](func() *Repo { return &Repo{"orders"} }, InModule.Of("orders")),
		),
		fx.Invoke(func(p InvoiceParams) { fmt.Println(p.Repo.table) }),
	)
	// Output: invoices
}

func Example_accessLevel() {
	run(
		fx.Module("tax",
			fx.Provide(newRates, fx.Private),
			fx.Provide(NewTax),
		),
		fx.Invoke(func(tax *Tax) { fmt.Println(tax.rates.vat) }),
	)
	// Output: 19
}

func Example_qualifier() {
	run(
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail")),
		fxqualifier.Provide[Notifier](NewPager, ByChannel.Of("pager")),
		fx.Invoke(fx.Annotate(
			func(n Notifier) { fmt.Println(n.Notify("paid")) },
			fx.ParamTags(fxqualifier.Tag(ByChannel.Of("pager"))),
		)),
	)
	// Output: pager 1: paid
}

func Example_lifecycle() {
	run(
		fx.Provide(NewStore),
		fx.Invoke(func(*Store) { fmt.Println("injected") }),
	)
	// Output:
	// constructed
	// injected
	// the application starts
	// no new work
	// closed
}

func Example_backgroundTaskHelper() {
	run(
		fxbackground.Module,
		fxscope.Module,
		fxscope.Provide(NewOrders),
		fx.Invoke(func(scopes *fxscope.Scopes) error {
			return scopes.Run(context.Background(), func(ctx context.Context) error {
				orders, err := fxscope.Get[*Orders](ctx)
				if err != nil {
					return err
				}
				return orders.Place(ctx)
			}) // returns once the receipt is sent
		}),
	)
	// Output: receipt sent
}

func Example_eggObjectFactory() {
	run(
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail")),
		fxqualifier.Provide[Notifier](NewPager, ByChannel.Of("pager")),
		fxqualifier.Collect[Notifier](),
		fx.Invoke(func(notifiers *fxqualifier.Set[Notifier]) error {
			ctx := context.Background()
			one, err := notifiers.Get(ctx, ByChannel.Of("pager"))
			if err != nil {
				return err
			}
			fmt.Println(one.Notify("get"))
			for n, err := range notifiers.All(ctx) {
				if err != nil {
					return err
				}
				fmt.Println(n.Notify("all"))
			}
			return nil
		}),
	)
	// Output:
	// pager 1: get
	// mail 1: all
	// pager 2: all
}

func Example_eggObjectFactoryInContext() {
	run(
		fxscope.Module,
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail")),
		fxscope.ProvideQualified[Notifier](NewPager, ByChannel.Of("pager")),
		fxqualifier.Collect[Notifier](),
		fx.Invoke(func(scopes *fxscope.Scopes, notifiers *fxqualifier.Set[Notifier]) error {
			request := func(ctx context.Context) error {
				for n, err := range notifiers.All(ctx) {
					if err != nil {
						return err
					}
					fmt.Println(n.Notify("from a request"))
				}
				return nil
			}
			if err := scopes.Run(context.Background(), request); err != nil {
				return err
			}
			return scopes.Run(context.Background(), request)
		}),
	)
	// Output:
	// mail 1: from a request
	// pager 1: from a request
	// mail 2: from a request
	// pager 1: from a request
}

func Example_getEggObject() {
	var prices *Prices
	app := fx.New(
		fx.NopLogger,
		fx.Provide(NewPrices),
		fx.Populate(&prices),
	)
	fmt.Println(app.Err(), prices.of["tea"])
	// Output: <nil> 3
}

func Example_mockModuleContextScope() {
	var scopes *fxscope.Scopes
	app := fx.New(
		fx.NopLogger,
		fxlifecycle.Coordinate(),
		fxscope.Module,
		fxscope.Provide(NewCart, func() (User, error) { return User{}, fmt.Errorf("no session") }),
		fx.Provide(NewPrices),
		fx.Decorate(func() *Prices { return &Prices{map[string]int{"tea": 4}} }),
		fx.Populate(&scopes),
	)
	if err := app.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	err := scopes.Run(context.Background(), func(ctx context.Context) error {
		cart, err := fxscope.Get[*Cart](ctx)
		if err == nil {
			fmt.Println(cart.user.Name, "pays", cart.prices.of["tea"])
		}
		return err
	}, fxscope.With(User{"a test"}))
	fmt.Println(err, app.Stop(context.Background()))
	// Output:
	// a test pays 4
	// <nil> <nil>
}

func Example_moduleJSON() {
	billing := fx.Module("billing", // an exported variable of package billing
		fx.Provide(NewPrices),
		fxscope.Provide(NewCart),
	)
	run(
		fxscope.Module,
		fxscope.Value[User](), // whoever begins a scope puts it there: fxscope.With(user)
		billing,
		fx.Invoke(func(p *Prices) { fmt.Println(p.of["tea"]) }),
	)
	// Output: 3
}
