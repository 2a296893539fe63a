// Package fxfactory makes a family of named instances out of one kind of client: creates them from one section of the configuration,
// starts them, hands them out, replaces them at run time, and destroys each of them exactly once.
//
//	func NewHTTPSpec() fxfactory.Spec[*HTTPClient, HTTPConfig] {
//		return fxfactory.Spec[*HTTPClient, HTTPConfig]{
//			Create: func(ctx context.Context, name string, cfg HTTPConfig) (*HTTPClient, error) { … },
//			Destroy: func(ctx context.Context, c *HTTPClient) error { … },
//		}
//	}
//
//	fx.New(
//		fxlifecycle.Coordinate(),
//		fxconfig.Module,
//		fxfactory.Module[*HTTPClient, HTTPConfig]("httpClient", NewHTTPSpec),
//		fxfactory.Named[*HTTPClient, HTTPConfig]("mailgate"),
//		…
//	)
//
// # Concepts
//
// A [Spec] says how one client is created, started, checked and destroyed. A section of the configuration, or [Settings] in code, says which
// clients there are. A [Factory] brings the two together: it holds the instances under their names, and [Factory.Get] is one lock-free lookup.
//
// [Module] is the factory as an Fx option. It provides *Factory[T, C], the default instance as T, and all of them as
// [Instance] in group:"<section>". [Named] provides single ones under name:"<name>". [New] is the same without Fx.
//
// # The section
//
//	httpClient:
//	  default: {timeout: 3s}            # merged under every instance
//	  client: {baseURL: http://a}       # short for clients.default, and wins over it
//	  clients:
//	    aaa: {baseURL: http://b}
//	    bbb: {baseURL: http://c, timeout: 10s}
//	  defaultClientName: aaa
//	  clientPriority: {aaa: High, bbb: L3}   # High, Medium, Low or L1, L2, L3; "priority" is the same key
//
// The configuration of an instance is Spec.Default, with default upon it, with its own section upon that: mappings are merged deeply, lists
// and scalars replaced. Decoding is strict, with the rules and positions of package fxconfig; a Validate method of C is called for
// each instance. An instance that is null or {} is the default alone. Where none is configured there are those of Spec.Fallback.
//
// The default instance is the one that defaultClientName names; else the one called "default"; else the only one. That is decided once,
// from configuration, and is the same for [Factory.Default] and for the T that Fx injects.
//
// All that is wrong with a section comes in one error of fx.New:
//
//	fxfactory: configure httpClient: config.yaml:3:22: httpClient.default.timeout: expected a duration with its unit, such as 3s or 3ms, found the bare number 3
//	config.yaml:5:11: httpClient.clients.aaa.baseUrl: unknown key (did you mean "baseURL"?)
//	config.yaml:6:3: httpClient.defaultClientName: no instance "aa" (did you mean "aaa"?); known: "aaa"
//
// Fx puts the path through the graph before it; dig.RootCause gives this text alone.
//
// # The life of an instance
//
//	  fx.New, New             OnStart, Start                                        Stop
//	       │                        │                                                │
//	creating ──► created ──► starting ──► ready ──► retiring (replaced) ──► destroying ──► destroyed
//	       │                        │
//	       └──── failed: High or Medium fail the startup, and all that was made is destroyed
//	                      Low is out: logged, retried until Stop, reported by Check
//
// Create makes the value, without I/O where the client allows it; Start reaches its server. Before the factory's start an instance is there as
// soon as it is created, after it only once it is started. High instances come first and go last, then Medium, then Low; those of one
// priority are created, started and destroyed concurrently, at most [Concurrency] at a time.
//
// A Low instance that is out keeps its name: Get gives [ErrNotFound] with the reason, [Factory.GetOrCreate] tries it at once, [Factory.Remove]
// ends the retries. Who has it injected, as T or by name, cannot do without it: then it fails the application like any other. The group
// is a snapshot that holds nobody: its Low instances may be destroyed by a Start that fails. A program that can do
// without an instance asks the factory for it each time.
//
// # At run time
//
// [Factory.Create] and [Factory.GetOrCreate] add instances, the second one once for all who ask at the same time; [Factory.Open] makes one
// without a name. [Factory.Replace] swaps in a new one and leaves the old one usable for [RetireAfter]; [Factory.Remove] destroys at once. Fx
// injects once: a program that calls Replace injects the Factory and asks it each time.
//
// [Factory.Check] asks each instance how it is. A Start or Check never runs on an instance that is being destroyed: its context is cancelled
// first, and Destroy waits until it has returned. [Factory.Stats] counts what happened. Module provides every factory as [Observed] in
// group:"fxfactory.factories", for whoever wants to show them all.
//
// # Failures
//
// Functions of a Spec may fail, panic, hang or ignore their context. Whatever happens, each instance that Create returned is destroyed exactly
// once, also one that Create returns after everybody has left. What cannot be waited for is left behind, named in an error or the
// log, and cleaned up when it returns.
//
//	where                            with fxlifecycle.Coordinate        with plain Fx
//	Create or Start fails            the factory destroys all it made   the same
//	another constructor or Invoke    destroyed                          not destroyed: Fx drops what fx.New built
//	fails in fx.New
//	the OnStart of another fails     destroyed                          destroyed if its own OnStart had succeeded
//	start times out                  destroyed                          its own Start: destroyed, that of another: not
//	fx.New without Start             Coordinator.Close                  not destroyed
//	clean stop                       after every PreDestroy, so after   in its place among the OnStop hooks
//	                                 every drain of the application
//
// # From Midway's ServiceFactory
//
//	ServiceFactory                           here
//	class extends ServiceFactory<T>          Spec[T, C] and Module or New
//	createClient(config, name)               Spec.Create, and Spec.Start for what does I/O
//	destroyClient(client, name)              Spec.Destroy
//	getName()                                the section's name
//	initClients(config)                      listing the Module; it is called for you
//	default, client, clients                 the same keys
//	defaultClientName, getDefaultClientName  the same key; Factory.DefaultName, Factory.Default, or T injected
//	clientPriority: L1, L2, L3               the same key and values, or High, Medium, Low: order, and what may fail
//	get(id)                                  Get, an error instead of undefined
//	has(id)                                  Has
//	createInstance(config, name)             Create; without a name, Open
//	getClients(), getClientKeys()            All, Names
//	getClientPriority, isHighPriority        Priority
//	@InjectClient(Factory, 'name')           Named, and name:"…"
//	stop()                                   called for you; every Destroy runs though one fails
package fxfactory
