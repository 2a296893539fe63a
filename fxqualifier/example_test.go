package fxqualifier_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/internal/snippets"
)

func Example() {
	app := fx.New(
		fx.NopLogger,
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail")),
		fxqualifier.Provide[Notifier](NewPager, ByChannel.Of("pager")),
		fxqualifier.Collect[Notifier](),
		fx.Provide(NewAlerts),
		fx.Invoke(func(a *Alerts) error {
			return a.Send(context.Background(), ByChannel.Of("pager"), "disk full")
		}),
	)
	fmt.Println(app.Err())
	// Output:
	// pager: disk full
	// <nil>
}

func ExampleTag() {
	fx.New(
		fx.NopLogger,
		fxqualifier.Provide[Notifier](NewPager, ByChannel.Of("pager")),
		fx.Provide(
			fx.Annotate(NewOnCall, fx.ParamTags(fxqualifier.Tag(ByChannel.Of("pager")))),
		),
		fx.Invoke(func(o *OnCall) { o.notifier.Notify("by annotation") }),
		fx.Invoke(func(p AlertsParams) { p.Pager.Notify("by struct tag") }),
	)
	fmt.Println(fxqualifier.Tag(ByChannel.Of("pager")))
	// Output:
	// pager: by annotation
	// pager: by struct tag
	// name:"channel=pager"
}

func ExampleInstances() {
	paths := []string{"/var/log/my app.log", "a,b"} // from configuration, say
	fx.New(
		fx.NopLogger,
		fxqualifier.Instances[*FileLog](LogPath, NewFileLog, paths...),
		fx.Invoke(func(p LogParams) { fmt.Println(p.Plain.path, "and", p.Comma.path) }),
	)
	// Output: /var/log/my app.log and a,b
}

func ExampleSet_All() {
	fx.New(
		fx.NopLogger,
		fxqualifier.Provide[Notifier](NewPager, ByChannel.Of("pager")),
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail"), Region.Of("eu")),
		fxqualifier.Collect[Notifier](),
		fx.Invoke(func(set *fxqualifier.Set[Notifier]) error {
			for n, err := range set.All(context.Background()) {
				if err != nil {
					return err
				}
				n.Notify("in the order of the options")
			}
			for _, qualifiers := range set.Members() {
				channel, ok := ByChannel.In(qualifiers...)
				fmt.Println(qualifiers, channel, ok)
			}
			return nil
		}),
	)
	// Output:
	// pager: in the order of the options
	// mail: in the order of the options
	// [channel=pager] pager true
	// [channel=mail region=eu] mail true
}

func ExampleSet_Get_errors() {
	fx.New(
		fx.NopLogger,
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail"), Region.Of("eu")),
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail"), Region.Of("us")),
		fxqualifier.Provide[Notifier](NewPager, ByChannel.Of("pager")),
		fxqualifier.Collect[Notifier](),
		fx.Invoke(func(set *fxqualifier.Set[Notifier]) {
			for _, channel := range []Channel{"mial", "mail"} {
				_, err := set.Get(context.Background(), ByChannel.Of(channel))
				fmt.Println(readable(err))
			}
		}),
	)
	// Output:
	// fxqualifier: get app.Notifier[channel=mial], asked for at alerts.go:40: not found: no member has channel=mial (did you mean "mail"?); there are:
	//	app.Notifier[channel=mail,region=eu] of app.NewMail (notify.go:27)
	//	app.Notifier[channel=mail,region=us] of app.NewMail (notify.go:27)
	//	app.Notifier[channel=pager] of app.NewPager (notify.go:28)
	// fxqualifier: get app.Notifier[channel=mail], asked for at alerts.go:40: ambiguous: 2 members match (ask also for region):
	//	app.Notifier[channel=mail,region=eu] of app.NewMail (notify.go:27)
	//	app.Notifier[channel=mail,region=us] of app.NewMail (notify.go:27)
}

func ExampleProvide_errors() {
	failure := func(options ...fx.Option) {
		fmt.Println(readable(fx.New(fx.NopLogger, fx.Options(options...), fxqualifier.Collect[Notifier]()).Err()))
	}
	failure(
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail")),
		fxqualifier.Provide[Notifier](NewPager, ByChannel.Of("mail")),
	)
	failure(
		fxqualifier.Provide[Notifier](NewMail, ByChannel.Of("mail")),
		fxqualifier.Provide[Notifier](NewPager, fxqualifier.NewAttribute[string]("channel").Of("pager")),
	)
	failure(
		fxqualifier.Provide[Notifier](NewFileLog, ByChannel.Of("log")),
	)
	err := fx.New(fx.NopLogger, fx.Provide(NewAlerts), fx.Invoke(func(*Alerts) {})).Err()
	fmt.Println(readable(err))
	// Output:
	// cannot provide function "app".NewPager (notify.go:28): cannot provide app.Notifier[name="channel=mail"] from [0].Field0: already provided by "app".NewMail (notify.go:27)
	// fxqualifier: attribute "channel" must have one type of value, and is used with 2: app.Channel by app.NewMail (notify.go:27) and string by app.NewPager (notify.go:28)
	// fxqualifier: provide app.Notifier[channel=log] at alerts.go:40: app.NewFileLog (notify.go:37) returns *app.FileLog, which does not implement app.Notifier (method Notify is missing)
	// missing dependencies for function "app".NewAlerts (notify.go:41): missing type: *fxqualifier.Set[app.Notifier]
}

func ExampleNewSet() {
	fake := &Mail{}
	set, err := fxqualifier.NewSet(
		fxqualifier.Member[Notifier]{Qualifiers: []fxqualifier.Qualifier{ByChannel.Of("mail")}, Value: fake},
	)
	fmt.Println(err, NewAlerts(set).Send(context.Background(), ByChannel.Of("mail"), "a test"))
	// Output:
	// mail: a test
	// <nil> <nil>
}

func ExampleDynamic() {
	type user struct{}
	greeting := func(ctx context.Context) (fmt.Stringer, error) {
		var b strings.Builder
		_, err := fmt.Fprintf(&b, "hello, %v", ctx.Value(user{}))
		return &b, err
	}
	fx.New(
		fx.NopLogger,
		fxqualifier.Dynamic[fmt.Stringer](func() *strings.Builder { return nil }, greeting, Kind.Of("greeting")),
		fxqualifier.Collect[fmt.Stringer](),
		fx.Invoke(func(set *fxqualifier.Set[fmt.Stringer]) error {
			ctx := context.WithValue(context.Background(), user{}, "Ada")
			s, err := set.Get(ctx, Kind.Of("greeting"))
			fmt.Println(s)
			return err
		}),
	)
	// Output: hello, Ada
}

var (
	inThisFile = regexp.MustCompile(`\S*/example_test\.go:\d+`)
	noted      = regexp.MustCompile(`(?s)^fx\.Provide.*Failed: |^could not build.*?(missing dep)|^could not build.*?(fxqualifier: )`)
)

// readable is an error with short paths, without the stack that Fx puts before it, and with a place in this file that
// stays where it is.
func readable(err error) string {
	s := inThisFile.ReplaceAllString(err.Error(), "alerts.go:40")
	s = strings.ReplaceAll(s, filepath.Dir(thisFile)+string(filepath.Separator), "")
	s = strings.ReplaceAll(s, "notify_test.go", "notify.go")
	s = strings.ReplaceAll(s, "github.com/fxkit/fxkit/fxqualifier_test", "app")
	s = strings.ReplaceAll(s, "fxqualifier_test.", "app.")
	return noted.ReplaceAllString(s, "$1$2")
}

func TestDoc_shows_only_what_the_examples_run(t *testing.T) {
	t.Parallel()
	var files []string
	for _, name := range []string{"doc.go", "example_test.go", "notify_test.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		files = append(files, string(text))
	}
	table := `,  %2C     %  %25     "  %22     ` + "`" + `  %60     \  %5C     =  %3D`
	assert.Empty(t, snippets.Missing("doc.go", files[0], append(files[1:], table)...))
	for escape := range strings.SplitSeq(table, "     ") {
		character, escaped, _ := strings.Cut(escape, "  ")
		assert.Equal(t, escaped+"=", fxqualifier.Name(fxqualifier.NewAttribute[string](character).Of("")))
	}
}
