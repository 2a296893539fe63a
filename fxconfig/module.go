package fxconfig

import (
	"fmt"
	"reflect"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/internal/fxloc"
)

// Module provides *Config from DefaultSources.
var Module = module(func() (*Config, error) { return Load() })

// From provides *Config from these sources instead; use it or Module, not both.
func From(sources ...Source) fx.Option {
	return module(func() (*Config, error) { return Load(sources...) })
}

// module's provider takes nothing: what other modules take optionally must not have dependencies that could be missing.
func module(load func() (*Config, error)) fx.Option {
	return fx.Module("fxconfig", fx.Provide(load), fx.Invoke(sayWhatIsAbsent))
}

type sayParams struct {
	fx.In

	Config *Config
	Log    *zap.Logger `optional:"true"`
}

// sayWhatIsAbsent answers "why does config.prod.yaml change nothing?" in the log.
func sayWhatIsAbsent(p sayParams) {
	if p.Log == nil {
		return
	}
	for _, path := range p.Config.absent {
		p.Log.Debug("fxconfig: no such file, so there is no such layer", zap.String("file", path))
	}
}

// Section provides T, decoded from the section at path and validated. Where the section is absent T is its zero
// value, or if T is a pointer one to a zero value. It needs *Config, from Module or From.
func Section[T any](path string) fx.Option {
	caller := fxloc.Caller(0)
	return fx.Provide(func(c *Config) (T, error) {
		var v T
		into := any(&v)
		if t := reflect.TypeFor[T](); t.Kind() == reflect.Pointer {
			p := reflect.New(t.Elem())
			v, into = p.Interface().(T), p.Interface()
		}
		if err := c.Decode(into, path); err != nil {
			var zero T
			return zero, fmt.Errorf("fxconfig: section %q, wanted at %s: %w", path, caller, err)
		}
		return v, nil
	})
}
