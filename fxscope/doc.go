// Package fxscope gives every request objects of its own.
//
// Fx builds singletons: one object of a type for the whole application. Much of what handles a request is not like that. The logger
// with the request's id, the principal, the transaction, the service object that has all of these: each lives as long as one
// request. fxscope plans the constructors of such objects once, when the application is built, and calls them per request, as they are
// needed. There is no container at request time and no lookup by name; a scope costs a few slots.
//
//	func NewOrders(ledger *Ledger, r *http.Request, tasks *fxbackground.Group) *Orders { … }
//
//	func main() {
//		fx.New(
//			fxlifecycle.Coordinate(),
//			fxscope.Module,
//			fxscope.Provide(NewOrders),  // one per request
//			fx.Provide(NewLedger),       // one per application
//			fx.Invoke(Serve),
//		).Run()
//	}
//
//	func Serve(lc fx.Lifecycle, scopes *fxscope.Scopes) error {
//		mux := http.NewServeMux()
//		mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
//			orders, err := fxscope.Get[*Orders](r.Context())
//			…
//		})
//		_, err := fxlifecycle.Serve(lc, &http.Server{Addr: ":8080", Handler: scopes.Middleware(mux)})
//		return err
//	}
//
// # Scopes
//
// A scope begins with a context and is reached through it. Middleware begins one per HTTP request, package grpcscope one per call,
// Run one around a function: a message off a queue, a job. Ensure is for code that works within a request as well as outside of one.
// Begin and End are what these are made of, and Release ends a scope without making its caller wait.
//
//	err := scopes.Run(ctx, func(ctx context.Context) error {
//		orders, err := fxscope.Get[*Orders](ctx)
//		…
//	})
//
// Get builds the object if nobody has asked for it yet, and whatever it needs before it. Goroutines that ask at the same time get the
// same object. What is not asked for is not built.
//
// Scopes are independent. One that begins within another, by its context, has its own objects, and neither ends the other.
//
// # What a constructor takes
//
// A scoped constructor is like one for fx.Provide, and its parameters are found by type:
//
//   - what other scoped constructors return: the object of the same scope,
//   - whatever Fx provides: the singletons, also by name or group in an fx.In,
//   - Values: see below,
//   - context.Context: the values of the context that the scope was begun with, and the cancellation of the Get that builds the object,
//   - *fxscope.Scope, *fxscope.Scopes, and *fxbackground.Group, which is for the scope's tasks.
//
// Where both Fx and the scope have the type, fx.New fails until the constructor says which it means:
//
//	type Params struct {
//		fx.In
//		Defaults *Settings `scope:"singleton"`
//		Mine     *Settings `scope:"request"`
//	}
//
// Optional wants work (`optional:"true"`), and are stricter than Fx's own: an optional singleton whose provider lacks something is an
// error here, and silently absent there.
//
// The other direction does not exist. A singleton is there before any request, so it cannot take a scoped object: Fx reports the type
// as missing. It can call Get with the context of the request that it works for. For the same reason a singleton
// that scoped constructors use cannot take *Scopes; what begins scopes, such as the server, is mostly not used by what lives in them.
//
// # Values
//
// A Value is what only whoever begins the scope can know. Value declares it, so that constructors may take it, and With puts it in:
//
//	fxscope.Value[Tenant]()
//	scopes.Run(ctx, handle, fxscope.With(Tenant("acme")))
//
// *http.Request is a Value of the scopes that Middleware begins. A test replaces any scoped object in the same way: With of a type that is
// also provided stands in for what its constructor would have made.
//
// # The life of an object
//
// Objects may have the methods of package fxlifecycle: PostConstruct, PreInject, PostInject and Init run in this order before anybody gets
// the object; PreDestroy and Destroy when the scope ends, in the reverse order of construction, first PreDestroy of all and then Destroy
// of all. A constructor that returns what it was given, perhaps as an interface, made nothing: hooks run once for each object. Whatever else
// it returns is the scope's, to destroy with it; so a constructor must not return a singleton that it found by other ways than its
// parameters.
//
// End first waits for the scope's tasks: as long as their group does (backgroundTask.timeout, or its SetTimeout), and at most three
// quarters of scope.endTimeout (15 s, where the configuration does not say otherwise). They may use Get as long as that lasts. After it Get
// returns ErrEnded. A hook that does not return within its share of the time is left behind and named in the error.
//
// # Qualifiers
//
// ProvideQualified tells several objects of one type apart, by fxqualifier's qualifiers, and makes each a member of fxqualifier.Set. So
// a Set may have singletons beside objects of the request, and whoever takes the Set need not know which is which:
//
//	fxqualifier.Provide[Notifier](NewLogNotifier, ByChannel.Of("log"))       // one per application
//	fxscope.ProvideQualified[Notifier](NewMailNotifier, ByChannel.Of("mail")) // one per request
//	fxqualifier.Collect[Notifier]()
//
// # When something is wrong
//
// All that can be wrong with the plan fails fx.New, and says what was wanted, by which constructor, on which way there, and what there is instead:
//
//	fxscope: *shop.Ledger, wanted by shop.NewOrders (orders.go:41) as parameter 1 (*shop.Checkout, which wanted *shop.Orders,
//	which wanted *shop.Ledger): not provided, neither by Fx nor by a scoped constructor: there is shop.Ledger from shop.ReadLedger (Fx)
//
//	fxscope: cycle: *shop.Cart from shop.NewCart (cart.go:12), which wants *shop.Prices from shop.NewPrices (prices.go:30), which
//	wants *shop.Cart: none of them can be first (one of the constructors could take context.Context and call fxscope.Get later)
//
// What fails at request time is the error of that Get, with the path to it. It is not remembered: the next Get tries again.
//
//	fxscope: get *shop.Checkout, which wanted *shop.Orders: shop.OpenOrders (orders.go:41): connection refused
//
// A constructor may call Get itself, with the context that it takes. Should such Gets come to form a cycle, they fail instead of waiting for one
// another, from however many goroutines they come. Only that context tells who waits for whom: a Get in a constructor with any other waits
// until that one ends. The same goes for a task that a constructor submits with its context: until the constructor has returned,
// the task's Get of the object that is being made is taken for a cycle.
//
// # Stop
//
// Scopes is stopped before the singletons that its constructors use, and what accepts requests is stopped before Scopes. With fxlifecycle.Coordinate
// these stops are PreDestroy hooks, so let the server's shutdown be one too: fxlifecycle.Serve does that. From then on no scope begins: Run returns
// ErrEnded and Middleware answers 503. Live scopes may go on for three quarters of Scopes' share of the stop budget, and are then
// ended by force, which the error of the stop counts.
package fxscope
