package fxfactory

import (
	"errors"
	"fmt"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/internal/fxloc"
)

// Named provides the instance of each name as T under name:"<name>", from the Module of the same T and C. A name that is not configured
// fails fx.New, also if nobody takes it.
//
//	fx.New(
//		fxfactory.Module[*HTTPClient, HTTPConfig]("httpClient", NewHTTPSpec),
//		fxfactory.Named[*HTTPClient, HTTPConfig]("mailgate"),
//		fx.Provide(fx.Annotate(NewMail, fx.ParamTags(`name:"mailgate"`))),
//	)
func Named[T, C any](names ...string) fx.Option {
	return named[T, C](names, fxloc.User())
}

// NamedFrom is Named for every instance that a section configures. The configuration has to be there before fx.New:
//
//	cfg, err := fxconfig.Load()
//	…
//	fx.New(
//		fx.Supply(cfg),
//		fxfactory.Module[*HTTPClient, HTTPConfig]("httpClient", NewHTTPSpec),
//		fxfactory.NamedFrom[*HTTPClient, HTTPConfig](cfg, "httpClient"),
//	)
//
// Instances that only Spec.Fallback knows are not configured: name them with Named.
func NamedFrom[T, C any](cfg *fxconfig.Config, sectionPath string) fx.Option {
	return named[T, C](section{cfg, sectionPath}.names(), fxloc.User())
}

func named[T, C any](names []string, place string) fx.Option {
	options := make([]fx.Option, 0, len(names)+1)
	for _, name := range names {
		if name == "" { // to Fx that would be T without a name; the Invoke below reports it
			continue
		}
		options = append(options, fx.Provide(fx.Annotated{Name: name, Target: func(f *Factory[T, C]) (T, error) {
			value, err := f.hand(name)
			if err != nil {
				err = at(err, place)
			}
			return value, err
		}}))
	}
	options = append(options, fx.Invoke(func(f *Factory[T, C]) error {
		var errs []error
		for _, name := range names {
			if err := f.knows(name); err != nil {
				errs = append(errs, at(err, place))
			}
		}
		return errors.Join(errs...)
	}))
	return fx.Options(options...)
}

func at(err error, place string) error { return fmt.Errorf("%w (named at %s)", err, place) }

// injectDefault is Default for what Fx hands out.
func (f *Factory[T, C]) injectDefault() (T, error) {
	if f.defaultName == "" {
		return f.Default()
	}
	return f.hand(f.defaultName)
}

// hand is Get that remembers: without what Fx handed out the application cannot go on.
func (f *Factory[T, C]) hand(name string) (T, error) {
	f.mu.Lock()
	if r := f.records[name]; r != nil && r.current != nil {
		r.injected = true
	}
	f.mu.Unlock()
	return f.Get(name)
}

// knows is an error if a name has neither an instance nor one that is out.
func (f *Factory[T, C]) knows(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.records[name]; r != nil {
		return nil
	}
	return f.fail("get", name, f.why(name))
}
