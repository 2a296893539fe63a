package registry

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxkit/fxkit/fxconfig"
)

// Section is where the configuration of Module stands.
const section = "etcd.registry"

const (
	defaultNamespace = "services"
	defaultTTL       = 30 * time.Second
)

// Config is what New needs. Its zero value is valid.
type Config struct {
	// Namespace is where in etcd all services are: the first part of their keys. Default: services.
	Namespace string `yaml:"namespace"`
	// TTL is how long an instance stays listed after its process has crashed, in whole seconds. Default: 30s.
	TTL time.Duration `yaml:"ttl"`
	// DrainDelay is how long a stop waits after the instances were taken off the list, so that callers have learned of it before
	// anything stops to serve. Default: not at all. It counts only if something was registered.
	DrainDelay time.Duration `yaml:"drainDelay"`
	// Services are the instances of this process. Module registers them when the application is ready.
	Services []Service `yaml:"services"`
}

// Service is an instance in the configuration.
type Service struct {
	Name     string            `yaml:"name"`    // of the service
	ID       string            `yaml:"id"`      // of the instance; default: its address
	Address  string            `yaml:"address"` // host:port, for others to connect to
	Metadata map[string]string `yaml:"metadata"`
}

func (s Service) instance() Instance {
	return Instance{Service: s.Name, ID: s.ID, Address: s.Address, Metadata: s.Metadata}
}

func (c *Config) fillDefaults() {
	if c.Namespace == "" {
		c.Namespace = defaultNamespace
	}
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
}

// Validate reports what cannot work of the section itself; each service has its own.
func (c Config) Validate() error {
	var problems []error
	if trimmed := strings.Trim(c.Namespace, "/"); trimmed != c.Namespace {
		problems = append(problems, fxconfig.At("namespace",
			fmt.Errorf("%q begins or ends with a slash: want %q", c.Namespace, cmp.Or(trimmed, defaultNamespace))))
	}
	if c.TTL != 0 {
		problems = append(problems, fxconfig.At("ttl", checkTTL(c.TTL)))
	}
	if c.DrainDelay < 0 {
		problems = append(problems, fxconfig.At("drainDelay", fmt.Errorf("%v is negative", c.DrainDelay)))
	}
	seen := map[string]bool{}
	for n, s := range c.Services {
		in, err := s.instance().complete(c.TTL)
		if err == nil && seen[in.key("")] {
			problems = append(problems, fxconfig.At(fmt.Sprintf("services.%d", n),
				fmt.Errorf("service %q has two instances with the id %q", in.Service, in.ID)))
		}
		seen[in.key("")] = err == nil
	}
	return errors.Join(problems...)
}

// Validate reports what keeps the instance from being registered.
func (s Service) Validate() error {
	problems := []error{
		fxconfig.At("name", checkName("service", s.Name)),
		fxconfig.At("address", checkAddress(s.Address)),
		fxconfig.At("metadata", checkMetadata(s.Metadata)),
	}
	if s.ID != "" {
		problems = append(problems, fxconfig.At("id", checkName("id", s.ID)))
	}
	return errors.Join(problems...)
}

func checkTTL(ttl time.Duration) error {
	if ttl < time.Second || ttl%time.Second != 0 {
		return fmt.Errorf("%v: want whole seconds, at least 1s; below 5s a busy server alone makes instances disappear", ttl)
	}
	return nil
}
