package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/fxkit/fxkit/fxconfig"
)

// settings are what the command line and the environment decide, before there is any configuration.
type settings struct {
	config    string // the configuration's first file
	data      string // the folder of the embedded etcd's data; "": as configured
	endpoints string // an etcd to use instead of the embedded one, comma-separated
	ephemeral string // a temporary data folder, removed at the end
}

func parse(args []string, output io.Writer) (settings, error) {
	s := settings{endpoints: os.Getenv("ETCD_ENDPOINTS")}
	flags := flag.NewFlagSet("app", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&s.config, "config", "config.yaml", "configuration `file`; its layer for $APP_ENV is read too")
	flags.StringVar(&s.data, "data", "", "`folder` of the embedded etcd's data (default data)")
	ephemeral := flags.Bool("ephemeral", false, "keep data in a temporary folder that is removed at the end")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: there are only flags, see -help", flags.Arg(0))
	}
	if *ephemeral && s.data != "" {
		return s, fmt.Errorf("-data %s and -ephemeral exclude each other", s.data)
	}
	if *ephemeral {
		folder, err := os.MkdirTemp("", "flagd-")
		if err != nil {
			return s, fmt.Errorf("-ephemeral: %w", err)
		}
		s.ephemeral, s.data = folder, folder
	}
	return s, nil
}

// sources are the configuration files, and above them what was said on the command line and in the environment.
func (s settings) sources() []fxconfig.Source {
	sources := fxconfig.Layers(s.config, os.Getenv("APP_ENV"))
	if s.data != "" {
		sources = append(sources, fxconfig.Value("etcd.embedded.dir", filepath.Join(s.data, "etcd")))
	}
	if s.endpoints != "" {
		sources = append(sources, fxconfig.Value("etcd.default.endpoints", s.endpoints))
	}
	return sources
}

func (s settings) cleanUp() {
	if s.ephemeral != "" {
		os.RemoveAll(s.ephemeral)
	}
}
