package fxlifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxlifecycle"
)

type database struct{}

func newDatabase(lc fx.Lifecycle) (*database, error) {
	return fxlifecycle.Manage(lc, &database{})
}

func (*database) Init(context.Context) error    { fmt.Println("database: connect"); return nil }
func (*database) Destroy(context.Context) error { fmt.Println("database: close"); return nil }

type consumer struct{ db *database }

func newConsumer(lc fx.Lifecycle, db *database) (*consumer, error) {
	return fxlifecycle.Manage(lc, &consumer{db})
}

func (*consumer) Init(context.Context) error { fmt.Println("consumer: subscribe"); return nil }

func (*consumer) PreDestroy(context.Context) error {
	fmt.Println("consumer: finish what is in hand")
	return nil
}

// live is the life of an application in the examples.
func live(app *fx.App) {
	ctx := context.Background()
	if err := errors.Join(app.Start(ctx), app.Stop(ctx)); err != nil {
		fmt.Println(err)
	}
}

func Example() {
	app := fx.New(
		fx.NopLogger,
		fxlifecycle.Coordinate(),
		fx.Provide(newDatabase, newConsumer),
		fx.Invoke(func(lc fx.Lifecycle, _ *consumer) {
			lc.Append(fx.StopHook(func() { fmt.Println("a third party's OnStop") }))
		}),
	)
	live(app)
	// Output:
	// database: connect
	// consumer: subscribe
	// consumer: finish what is in hand
	// a third party's OnStop
	// database: close
}

func ExampleManage_failure() {
	type cache struct{}
	newCache := func(lc fx.Lifecycle, _ *database) (*cache, error) {
		return fxlifecycle.Manage(lc, &cache{}, fxlifecycle.WithName("cache"), fxlifecycle.WithHooks(fxlifecycle.Hooks{
			Init: func(context.Context) error { return errors.New("no memory left") },
		}))
	}
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Provide(newDatabase, newCache), fx.Invoke(func(*cache) {}))
	live(app)
	// Output:
	// database: connect
	// database: close
	// fxlifecycle: Init "cache": no memory left
}

func ExampleWithHooks() {
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Invoke(func(lc fx.Lifecycle) error {
		client := &http.Client{} // not your type
		_, err := fxlifecycle.Manage(lc, client, fxlifecycle.WithHooks(fxlifecycle.Hooks{
			Destroy: func(context.Context) error {
				client.CloseIdleConnections()
				fmt.Println("idle connections closed")
				return nil
			},
		}))
		return err
	}))
	live(app)
	// Output: idle connections closed
}

func ExampleObject() {
	type Report struct {
		DB    *database `inject:""`
		Title string    `inject:"" name:"title"`
	}
	app := fx.New(
		fx.NopLogger,
		fxlifecycle.Coordinate(),
		fx.Supply(fx.Annotated{Name: "title", Target: "Debts"}),
		fx.Provide(newDatabase, fxlifecycle.Object[Report]()),
		fx.Invoke(func(r *Report) { fmt.Println(r.Title, r.DB != nil) }),
	)
	live(app)
	// Output:
	// Debts true
	// database: connect
	// database: close
}

func ExampleObject_misspelt() {
	type Report struct {
		DB *database `inject:"" optinal:"true"`
	}
	err := fx.New(fx.NopLogger, fx.Provide(fxlifecycle.Object[Report]())).Err()
	_, message, _ := strings.Cut(err.Error(), "got ")
	fmt.Println(message)
	// Output: fxlifecycle: object fxlifecycle_test.Report: field DB: unknown tag "optinal" (did you mean "optional"?) (type fxlifecycle.invalidObject)
}

func ExampleServe() {
	app := fx.New(
		fx.NopLogger,
		fxlifecycle.Coordinate(),
		fx.Invoke(func(lc fx.Lifecycle, c *fxlifecycle.Coordinator) error {
			server, err := fxlifecycle.Serve(lc, &http.Server{Addr: "127.0.0.1:0", Handler: http.NotFoundHandler()})
			c.OnReady(func(context.Context) error {
				_, err := http.Head("http://" + server.Addr().String())
				fmt.Println("answers:", err == nil)
				http.DefaultClient.CloseIdleConnections()
				return nil
			})
			return err
		}),
	)
	live(app)
	// Output: answers: true
}

func ExampleCoordinator_Close() {
	var c *fxlifecycle.Coordinator
	app := fx.New(fx.NopLogger, fxlifecycle.Coordinate(), fx.Provide(newDatabase), fx.Populate(&c), fx.Invoke(func(*database) {}))
	// A command that only wanted to know whether the application can be built.
	fmt.Println(app.Err(), c.Phase())
	if err := c.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(app.Start(context.Background()))
	// Output:
	// <nil> constructing
	// database: close
	// fxlifecycle: start: the application was stopped and its objects are destroyed: build a new one with fx.New
}

type slowest struct{ log *zap.Logger }

func (slowest) HookBegan(fxlifecycle.Entry) {}
func (s slowest) HookEnded(e fxlifecycle.Entry) {
	fmt.Println(e.Object, e.Hook, e.Err)
}

func ExampleObserver() {
	app := fx.New(
		fx.NopLogger,
		fxlifecycle.Coordinate(),
		fx.Provide(
			zap.NewNop, newDatabase,
			fx.Annotate(func(log *zap.Logger) slowest { return slowest{log} },
				fx.As(new(fxlifecycle.Observer)), fx.ResultTags(`group:"fxlifecycle.observers"`)),
		),
		fx.Invoke(func(*database) {}),
	)
	live(app)
	// Output:
	// database: connect
	// *fxlifecycle_test.database Init <nil>
	// database: close
	// *fxlifecycle_test.database Destroy <nil>
}
