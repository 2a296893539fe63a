package exclusive

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxkit/fxkit/fxconfig"
)

// Config is the section etcd.exclusive. Its zero value has the defaults.
type Config struct {
	// TTL is how long the others wait for a holder that has died or is cut off; one that stops lets go at once. At least 2s, in whole
	// seconds. Below 5s a short pause of a process or of etcd costs it its term. Default: 10s.
	TTL time.Duration `yaml:"ttl"`
	// Namespace is the folder of all keys, inside of the client's namespace. Only those who have the same one exclude each other. Default: exclusive.
	Namespace string `yaml:"namespace"`
}

const (
	defaultTTL       = 10 * time.Second
	defaultNamespace = "exclusive"
	leastTTL         = 2 * time.Second
)

func (c Config) withDefaults() Config {
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	if c.Namespace == "" {
		c.Namespace = defaultNamespace
	}
	c.Namespace = strings.TrimSuffix(c.Namespace, "/")
	return c
}

// Validate tells what in the configuration cannot work.
func (c Config) Validate() error {
	var problems []error
	if c.TTL != 0 && (c.TTL < leastTTL || c.TTL%time.Second != 0) {
		problems = append(problems, fxconfig.At("ttl", fmt.Errorf("%v: etcd's leases last whole seconds, and at least %v here", c.TTL, leastTTL)))
	}
	if strings.Trim(c.Namespace, "/") == "" && c.Namespace != "" {
		problems = append(problems, fxconfig.At("namespace", fmt.Errorf("%q has no name: want one such as %q", c.Namespace, defaultNamespace)))
	}
	return errors.Join(problems...)
}
