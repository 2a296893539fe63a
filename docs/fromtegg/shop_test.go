package fromtegg_test

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/fxqualifier"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run starts an application and stops it again. A service has fx.New(options...).Run() in its place.
func run(options ...fx.Option) {
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Options(options...))
	err := app.Start(context.Background())
	if err == nil {
		err = app.Stop(context.Background())
	}
	if err != nil {
		fmt.Println(err)
	}
}

// Objects of the request.

type User struct{ Name string }

type Cart struct {
	prices *Prices
	user   User
}

func NewCart(prices *Prices, user User) *Cart { return &Cart{prices, user} }

// Objects of the application.

type Prices struct{ of map[string]int }

func NewPrices() *Prices { return &Prices{map[string]int{"tea": 3}} }

// One class, several objects.

type FileLog struct{ path string }

var LogPath = fxqualifier.NewAttribute[string]("log_path")

func NewFileLog(path string) *FileLog { return &FileLog{path} }

type AuditParams struct {
	fx.In

	Audit *FileLog `name:"log_path=audit.log"`
	Debug *FileLog `name:"log_path=debug.log" optional:"true"`
}

// One class, an object of the application and one of each request.

type Visits struct{ n int }

func NewVisits() *Visits { return &Visits{} }

type Page struct{ total, own *Visits }

type PageParams struct {
	fx.In

	Total *Visits `scope:"singleton"`
	Own   *Visits `scope:"request"`
}

func NewPage(p PageParams) *Page { return &Page{p.Total, p.Own} }

// One type, from several modules.

type Repo struct{ table string }

var InModule = fxqualifier.NewAttribute[string]("module")

type InvoiceParams struct {
	fx.In

	Repo *Repo `name:"module=billing"`
}

// What stays within a module.

type rates struct{ vat int }

type Tax struct{ rates *rates }

func newRates() *rates     { return &rates{19} }
func NewTax(r *rates) *Tax { return &Tax{r} }

// One interface, several classes.

type Channel string

var ByChannel = fxqualifier.NewAttribute[Channel]("channel")

type Notifier interface{ Notify(text string) string }

type (
	Mail  struct{ sent int }
	Pager struct{ sent int }
)

func NewMail() *Mail   { return &Mail{} }
func NewPager() *Pager { return &Pager{} }

func (m *Mail) Notify(text string) string { m.sent++; return fmt.Sprint("mail ", m.sent, ": ", text) }

func (p *Pager) Notify(text string) string { p.sent++; return fmt.Sprint("pager ", p.sent, ": ", text) }

// Hooks.

type Store struct{}

func NewStore(lc fx.Lifecycle) (*Store, error) { return fxlifecycle.Manage(lc, &Store{}) }

func (*Store) PostConstruct(context.Context) error { fmt.Println("constructed"); return nil }
func (*Store) Init(context.Context) error          { fmt.Println("the application starts"); return nil }
func (*Store) PreDestroy(context.Context) error    { fmt.Println("no new work"); return nil }
func (*Store) Destroy(context.Context) error       { fmt.Println("closed"); return nil }

// Work that outlives the request.

type Orders struct{ tasks *fxbackground.Group }

func NewOrders(tasks *fxbackground.Group) *Orders { return &Orders{tasks} }

func (o *Orders) Place(ctx context.Context) error {
	return o.tasks.Run(ctx, "receipt", func(ctx context.Context) error {
		fmt.Println("receipt sent")
		return nil
	})
}
