// Package fxqualifier tells apart several values of one type.
//
// Fx knows a value by its type, and by a name where there are several of that type. The name is a string in two
// places, and nothing says what the strings have to do with each other. Here a value carries qualifiers instead: typed
// values of attributes, which are variables of the program. They compile to Fx's own names and groups, so whatever
// works with Fx works with them.
//
//	var ByChannel = fxqualifier.NewAttribute[Channel]("channel")
//
// Provide gives an implementation to the application, Collect makes one lookup of all of them:
//
//	fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail")),
//	fxqualifier.Provide[Notifier](NewPager, ByChannel.Of("pager")),
//	fxqualifier.Collect[Notifier](),
//
// A constructor is one as for fx.Provide. It is Fx that calls it, and that orders what it needs before it. Whoever
// chooses at run time takes the Set:
//
//	func NewAlerts(notifiers *fxqualifier.Set[Notifier]) *Alerts { return &Alerts{notifiers} }
//
//	n, err := a.notifiers.Get(ctx, channel)
//
// Get returns the one member that carries every qualifier it is asked for; the member may carry more. All iterates
// over every such member, in the order of registration: that in which options were given to fx.New, a module's own
// before those of the modules in it. Fx itself shuffles its groups.
//
// # Names
//
// Whoever always wants the same one takes it by name. The name of a value is written from its qualifiers, sorted by
// attribute:
//
//	type AlertsParams struct {
//		fx.In
//
//		Pager Notifier `name:"channel=pager"`
//	}
//
// Tag is the same for fx.ParamTags:
//
//	fx.Annotate(NewOnCall, fx.ParamTags(fxqualifier.Tag(ByChannel.Of("pager")))),
//
// Values may be any text. What could not stand in a struct tag as it is, or would be mistaken for a separator, is
// written as % and two hexadecimal digits in upper case, as in a URL:
//
//	,  %2C     %  %25     "  %22     `  %60     \  %5C     =  %3D
//
// The equals sign is escaped in attributes only: it ends the attribute, and stands for itself in a value. Control
// characters, spaces other than the plain one, and bytes that are not UTF-8 are escaped byte by byte; all other
// characters of any language stand for themselves. So there is one way to write a name, no second level of quoting, and
// different qualifiers never have the same name.
//
//	type LogParams struct {
//		fx.In
//
//		Plain *FileLog `name:"log_path=/var/log/my app.log"`
//		Comma *FileLog `name:"log_path=a%2Cb"`
//	}
//
// # One object per value
//
// Instances provides one object for each value of an attribute. The constructor has one parameter of the attribute's
// type, which gets the value, and takes whatever else Fx provides:
//
//	func NewFileLog(path string) *FileLog { return &FileLog{path} }
//
//	fxqualifier.Instances[*FileLog](LogPath, NewFileLog, paths...),
//
// The values may be read from configuration before fx.New, and there may be none.
//
// # Members that live in a request
//
// A member need not be one object for the whole application. Dynamic makes one of a function that is called each time
// the member is asked for, with the context of whoever asks. fxscope.ProvideQualified builds on it: one Set then has
// singletons and objects of the current request, and who uses it need not know which is which. All resolves them one
// at a time, so what is behind a break is not built, and the error of one does not end the loop.
//
// # What errors say
//
// A lookup that fails is ErrNotFound or ErrAmbiguous. It says what was asked for and where, and what there is (paths
// are shortened here):
//
//	fxqualifier: get app.Notifier[channel=mial], asked for at alerts.go:40: not found: no member has channel=mial (did you mean "mail"?); there are:
//		app.Notifier[channel=mail,region=eu] of app.NewMail (notify.go:27)
//		app.Notifier[channel=mail,region=us] of app.NewMail (notify.go:27)
//		app.Notifier[channel=pager] of app.NewPager (notify.go:28)
//
//	fxqualifier: get app.Notifier[channel=mail], asked for at alerts.go:40: ambiguous: 2 members match (ask also for region):
//		app.Notifier[channel=mail,region=eu] of app.NewMail (notify.go:27)
//		app.Notifier[channel=mail,region=us] of app.NewMail (notify.go:27)
//
// What cannot be right fails fx.New, before anything is built. Among the members of one type, qualifiers must differ:
//
//	cannot provide function "app".NewPager (notify.go:28): cannot provide app.Notifier[name="channel=mail"] from [0].Field0: already provided by "app".NewMail (notify.go:27)
//
// An attribute has one type of value, in all sets (of an application that collects any):
//
//	fxqualifier: attribute "channel" must have one type of value, and is used with 2: app.Channel by app.NewMail (notify.go:27) and string by app.NewPager (notify.go:28)
//
// And a constructor must be one:
//
//	fxqualifier: provide app.Notifier[channel=log] at alerts.go:40: app.NewFileLog (notify.go:37) returns *app.FileLog, which does not implement app.Notifier (method Notify is missing)
//
// What nobody provides is Fx's own error, which names the constructor that wants it. Here Collect[Notifier] is missing:
//
//	missing dependencies for function "app".NewAlerts (notify.go:41): missing type: *fxqualifier.Set[app.Notifier]
//
// # Tests
//
// What takes a Set can be tested without Fx:
//
//	set, err := fxqualifier.NewSet(
//		fxqualifier.Member[Notifier]{Qualifiers: []fxqualifier.Qualifier{ByChannel.Of("mail")}, Value: fake},
//	)
package fxqualifier
