package fxqualifier_test

import (
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/fxqualifier"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Hello is what most tests provide: its implementations say who they are.
type Hello interface{ Hello() string }

type named string

func (n named) Hello() string { return string(n) }

// constant is a constructor of a Hello that says name.
func constant(name string) func() Hello { return func() Hello { return named(name) } }

func newFoo() Hello { return named("foo") }
func newBar() Hello { return named("bar") }

var (
	Kind  = fxqualifier.NewAttribute[string]("kind")
	Shard = fxqualifier.NewAttribute[int]("shard")
)

// build is an application without log, and what went wrong in fx.New.
func build(opts ...fx.Option) error { return fx.New(fx.NopLogger, fx.Options(opts...)).Err() }

// collected is Set[T] as an application with these options has it.
func collected[T any](t *testing.T, opts ...fx.Option) *fxqualifier.Set[T] {
	t.Helper()
	var set *fxqualifier.Set[T]
	if err := build(fx.Options(opts...), fxqualifier.Collect[T](), fx.Populate(&set)); err != nil {
		t.Fatal(err)
	}
	return set
}

// hellos are what the members of a Set say, in the order of All; an error is written as it is.
func hellos(t *testing.T, set *fxqualifier.Set[Hello], qs ...fxqualifier.Qualifier) []string {
	t.Helper()
	said := []string{}
	for h, err := range set.All(t.Context(), qs...) {
		if err != nil {
			said = append(said, err.Error())
			continue
		}
		said = append(said, h.Hello())
	}
	return said
}

var (
	_, thisFile, _, _ = runtime.Caller(0)
	lineNumber        = regexp.MustCompile(`(_test\.go):\d+`)
)

// short is an error without what differs from machine to machine and from edit to edit: folders and line numbers.
func short(err error) string {
	s := strings.ReplaceAll(err.Error(), filepath.Dir(thisFile)+string(filepath.Separator), "")
	s = strings.ReplaceAll(s, "github.com/fxkit/fxkit/fxqualifier_test", "app")
	return lineNumber.ReplaceAllString(strings.ReplaceAll(s, "fxqualifier_test.", "app."), "$1:N")
}
