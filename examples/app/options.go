package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"

	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
	"github.com/fxkit/fxkit/fxetcd/registry"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/fxscope"
)

// Config is the section flagd of the configuration.
type Config struct {
	Address  string        `yaml:"address"`  // host:port of the API
	LogLevel zapcore.Level `yaml:"logLevel"` // of what goes to standard error
	Webhook  string        `yaml:"webhook"`  // the URL to which the notifier "webhook" posts; "": there is none
}

// Validate reports what would only fail later, and less clearly.
func (c Config) Validate() error {
	if c.Address == "" {
		return fxconfig.At("address", errors.New("is empty: want host:port, as in 127.0.0.1:8080"))
	}
	if u, err := url.Parse(c.Webhook); c.Webhook != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return fxconfig.At("webhook", fmt.Errorf("%q is not an http or https URL", c.Webhook))
	}
	return nil
}

// options is the application: what it is made of, and the functions that set it to work.
func options(s settings, stdout io.Writer) fx.Option {
	server := embedded.Module
	if s.endpoints != "" {
		server = fx.Options()
	}
	return fx.Options(
		fxlifecycle.Coordinate(),
		fxconfig.From(s.sources()...),
		fxconfig.Section[Config]("flagd"),
		fx.NopLogger, // what fails is said once, by main; the Coordinator's journal has the rest

		server,
		fxetcd.Module,
		fxetcd.Named("audit"),
		exclusive.Module,
		registry.Module,
		fxbackground.Module,
		fxscope.Module,

		fx.Provide(
			newLogger,
			newStore,
			fx.Annotate(newAudit, fx.ParamTags(`name:"audit"`)),
			newAPI,
			serveAPI,
		),
		fxscope.Provide(newPrincipal, newRequestLog, newFlags), // one per request
		fxqualifier.Provide[Notifier](newLogNotifier, byName.Of("log")),
		fxscope.ProvideQualified[Notifier](newWebhookNotifier, byName.Of("webhook")),
		fxqualifier.Collect[Notifier](),
		fx.Invoke(prune, register, func(r announcement) { r.announceTo(stdout) }),
	)
}

func newLogger(cfg Config) (*zap.Logger, error) {
	production := zap.NewProductionConfig()
	production.Level = zap.NewAtomicLevelAt(cfg.LogLevel)
	production.DisableStacktrace = true
	return production.Build()
}
