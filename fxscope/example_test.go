package fxscope_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/fxscope"
)

// A Ledger is a singleton.
type Ledger struct{ entries int }

func NewLedger() *Ledger { return &Ledger{} }

// A Principal is who sent a request.
type Principal struct{ name string }

func NewPrincipal(r *http.Request) (*Principal, error) {
	name := r.Header.Get("X-User")
	if name == "" {
		return nil, errors.New("no X-User header")
	}
	return &Principal{name}, nil
}

// Orders handles the orders of one request.
type Orders struct {
	ledger    *Ledger
	principal *Principal
	tasks     *fxbackground.Group
}

func NewOrders(ledger *Ledger, principal *Principal, tasks *fxbackground.Group) *Orders {
	return &Orders{ledger, principal, tasks}
}

func (o *Orders) Place() string {
	o.ledger.entries++
	return fmt.Sprintf("order %d of %s", o.ledger.entries, o.principal.name)
}

// run starts an application, for the examples.
func run(opts ...fx.Option) (scopes *fxscope.Scopes, stop func()) {
	app := fx.New(fx.NopLogger, fxscope.Module, fx.Options(opts...), fx.Populate(&scopes))
	if err := app.Start(context.Background()); err != nil {
		panic(err)
	}
	return scopes, func() { _ = app.Stop(context.Background()) }
}

func Example() {
	scopes, stop := run(
		fx.Provide(NewLedger),
		fxscope.Provide(NewOrders, NewPrincipal),
	)
	defer stop()

	handler := scopes.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		orders, err := fxscope.Get[*Orders](r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, orders.Place())
	}))

	for _, user := range []string{"ada", "grace", ""} {
		r := httptest.NewRequest(http.MethodPost, "/orders", nil)
		if user != "" {
			r.Header.Set("X-User", user)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, shorten.ReplaceAllString(w.Body.String(), "($1)"))
	}
	// Output:
	// 200 order 1 of ada
	// 200 order 2 of grace
	// 401 fxscope: get *fxscope_test.Orders, which wanted *fxscope_test.Principal: github.com/fxkit/fxkit/fxscope_test.NewPrincipal (example_test.go): no X-User header
}

// shorten leaves of a place what is the same on every machine and in every edition of this file.
var shorten = regexp.MustCompile(`\(/[^)]*/([^/)]+):\d+\)`)

// Tenant is what only whoever begins a scope can know.
type Tenant string

type Repository struct{ tenant Tenant }

func NewRepository(t Tenant) *Repository { return &Repository{t} }

func ExampleValue() {
	scopes, stop := run(fxscope.Value[Tenant](), fxscope.Provide(NewRepository))
	defer stop()

	for _, tenant := range []Tenant{"acme", "globex"} {
		_ = scopes.Run(context.Background(), func(ctx context.Context) error {
			repository, err := fxscope.Get[*Repository](ctx)
			if err == nil {
				fmt.Println(repository.tenant)
			}
			return err
		}, fxscope.With(tenant))
	}
	// Output:
	// acme
	// globex
}

// In a test, With replaces a scoped object by one of the test's own.
func ExampleWith() {
	scopes, stop := run(fx.Provide(NewLedger), fxscope.Provide(NewOrders, NewPrincipal))
	defer stop()

	err := scopes.Run(context.Background(), func(ctx context.Context) error {
		orders, err := fxscope.Get[*Orders](ctx)
		if err == nil {
			fmt.Println(orders.Place())
		}
		return err
	}, fxscope.With(&Principal{"a test"})) // so there is no need for a request
	fmt.Println(err)
	// Output:
	// order 1 of a test
	// <nil>
}

// A Transaction has hooks, which run as the scope begins to use it and when the scope ends.
type Transaction struct{}

func NewTransaction() *Transaction { return &Transaction{} }

func (*Transaction) Init(context.Context) error    { fmt.Println("begin"); return nil }
func (*Transaction) Destroy(context.Context) error { fmt.Println("commit"); return nil }

func ExampleScopes_Run() {
	scopes, stop := run(fxscope.Provide(NewTransaction))
	defer stop()

	_ = scopes.Run(context.Background(), func(ctx context.Context) error {
		for range 2 {
			if _, err := fxscope.Get[*Transaction](ctx); err != nil {
				return err
			}
			fmt.Println("use")
		}
		sc, _ := fxscope.From(ctx)
		return sc.Tasks().Run(ctx, "audit", func(context.Context) error { fmt.Println("a task, which End waits for"); return nil })
	})
	// Output:
	// begin
	// use
	// use
	// a task, which End waits for
	// commit
}

type Channel string

var ByChannel = fxqualifier.NewAttribute[Channel]("channel")

type Notifier interface{ Notify(text string) string }

type logNotifier struct{}

func NewLogNotifier() *logNotifier { return &logNotifier{} }

func (*logNotifier) Notify(text string) string { return "log: " + text }

type mailNotifier struct{ to *Principal }

func NewMailNotifier(to *Principal) *mailNotifier { return &mailNotifier{to} }

func (m *mailNotifier) Notify(text string) string { return "mail to " + m.to.name + ": " + text }

// One Set has a singleton and an object of the request.
func ExampleProvideQualified() {
	var notifiers *fxqualifier.Set[Notifier]
	scopes, stop := run(
		fxqualifier.Collect[Notifier](),
		fxqualifier.Provide[Notifier](NewLogNotifier, ByChannel.Of("log")),
		fxscope.ProvideQualified[Notifier](NewMailNotifier, ByChannel.Of("mail")),
		fxscope.Provide(NewPrincipal),
		fx.Populate(&notifiers),
	)
	defer stop()

	_ = scopes.Run(context.Background(), func(ctx context.Context) error {
		for notifier, err := range notifiers.All(ctx) {
			if err != nil {
				return err
			}
			fmt.Println(notifier.Notify("placed"))
		}
		return nil
	}, fxscope.With(&Principal{"ada"}))
	// Output:
	// log: placed
	// mail to ada: placed
}

type (
	Cart   struct{}
	Prices struct{}
)

func NewCart(*Prices) *Cart   { return nil }
func NewPrices(*Cart) *Prices { return nil }

// What is wrong with a plan fails fx.New.
func ExampleProvide_errors() {
	for _, constructors := range [][]any{
		{NewOrders, NewPrincipal},
		{NewCart, NewPrices},
	} {
		err := fx.New(fx.NopLogger, fxscope.Module, fxscope.Provide(constructors...)).Err()
		ours := regexp.MustCompile(`fxscope: .*`).FindString(err.Error())
		fmt.Println(shorten.ReplaceAllString(ours, "($1)"))
	}
	// Output:
	// fxscope: *fxscope_test.Ledger, wanted by github.com/fxkit/fxkit/fxscope_test.NewOrders (example_test.go) as parameter 1: not provided, neither by Fx nor by a scoped constructor
	// fxscope: cycle: *fxscope_test.Cart from github.com/fxkit/fxkit/fxscope_test.NewCart (example_test.go), which wants *fxscope_test.Prices from github.com/fxkit/fxkit/fxscope_test.NewPrices (example_test.go), which wants *fxscope_test.Cart: none of them can be first (one of the constructors could take context.Context and call fxscope.Get later)
}
