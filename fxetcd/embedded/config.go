package embedded

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/fxkit/fxkit/fxconfig"
)

// Config is the section etcd.embedded. Its zero value is a server on a free port of the loopback interface that keeps its data in data/etcd.
type Config struct {
	// Dir is the folder of the data, created with its parents if it is missing, for this user alone (mode 0700). It belongs
	// to one server at a time. Default: data/etcd, below the working directory.
	Dir string `yaml:"dir"`

	// Listen is the host:port for clients. Port 0 takes a free one at start, which Endpoints tells. A host is an IP address or
	// "localhost"; none means all interfaces. The server asks nobody for a password: beyond loopback, restrict who can
	// reach it. Default: 127.0.0.1:0.
	Listen string `yaml:"listen"`

	// History is how long overwritten and deleted values can still be read, and watches can still be resumed; etcd keeps them
	// for ever unless told otherwise, and stops accepting writes at 2 GiB. Negative: for ever. Default: 1h.
	History time.Duration `yaml:"history"`

	// LogLevel is the least severe level of the server's own log lines that reach the application's logger. Default: info.
	LogLevel zapcore.Level `yaml:"logLevel"`
}

const (
	defaultDir     = "data/etcd"
	defaultListen  = "127.0.0.1:0"
	defaultHistory = time.Hour
)

func (c Config) withDefaults() Config {
	if c.Dir == "" {
		c.Dir = defaultDir
	}
	if c.Listen == "" {
		c.Listen = defaultListen
	}
	if c.History == 0 {
		c.History = defaultHistory
	}
	return c
}

// Validate tells what in the configuration cannot work.
func (c Config) Validate() error {
	var problems []error
	if c.Listen != "" {
		if _, _, err := splitListen(c.Listen); err != nil {
			problems = append(problems, fxconfig.At("listen", err))
		}
	}
	if c.History > 0 && c.History < time.Minute {
		problems = append(problems, fxconfig.At("history", fmt.Errorf("%v is too short: at least 1m, or a negative one to keep all of it", c.History)))
	}
	return errors.Join(problems...)
}

// withLevels adds the levels that there are to what is wrong with logLevel: zap does not tell.
func withLevels(err error) error {
	var all *fxconfig.Error
	if !errors.As(err, &all) {
		return err
	}
	var known []string
	for level := zapcore.DebugLevel; level <= zapcore.FatalLevel; level++ {
		known = append(known, level.String())
	}
	told := *all
	told.Problems = slices.Clone(all.Problems)
	for i := range told.Problems {
		if p := &told.Problems[i]; p.Path == section+".logLevel" {
			p.Message += "; known: " + strings.Join(known, ", ")
		}
	}
	return &told
}

// splitListen takes a listen address apart. The host is what the socket binds to.
func splitListen(listen string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port, such as 127.0.0.1:2379, or 127.0.0.1:0 for a free port", listen)
	}
	port, err = strconv.Atoi(service)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q: the port must be a number from 0 (a free one) to 65535", listen)
	}
	switch {
	case host == "":
		host = "0.0.0.0"
	case host != "localhost" && net.ParseIP(host) == nil:
		return "", 0, fmt.Errorf(`%q: the host must be an IP address of this machine, or "localhost"`, listen)
	}
	return host, port, nil
}

// reachable is the host by which this machine reaches a server that listens on host.
func reachable(host string) string {
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return host
	}
	if host == "0.0.0.0" {
		return "127.0.0.1"
	}
	return "::1"
}
