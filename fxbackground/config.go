package fxbackground

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/fxkit/fxkit/fxconfig"
)

// Infinite is the timeout of a drain that waits as long as its context does. In YAML it is written "infinite".
const Infinite time.Duration = math.MaxInt64

// Config is how a [Runner] bounds its tasks. The zero Config has no limits and cancels at once when it drains.
//
// In YAML its keys are timeout, concurrency, queue and grace.
type Config struct {
	// Timeout is how long a drain waits in total before it cancels what still runs. 0 cancels at once, Infinite
	// waits as long as the drain's context allows.
	Timeout time.Duration
	// Concurrency is how many tasks run at once, those of the Runner's Groups included. 0: no limit.
	Concurrency int
	// Queue is how many tasks may wait for a place. 0: no limit.
	Queue int
	// Grace is the time between cancelling the tasks that are late and leaving them behind.
	Grace time.Duration
}

// DefaultConfig is what Module starts from: a drain of 5 s, half a second of grace, no limits.
func DefaultConfig() Config {
	return Config{Timeout: 5 * time.Second, Grace: 500 * time.Millisecond}
}

// Validate reports every field that is negative.
func (c Config) Validate() error {
	var errs []error
	check := func(key string, negative bool, value any) {
		if negative {
			errs = append(errs, fxconfig.At(key, fmt.Errorf("%v must not be negative", value)))
		}
	}
	check("timeout", c.Timeout < 0, c.Timeout)
	check("concurrency", c.Concurrency < 0, c.Concurrency)
	check("queue", c.Queue < 0, c.Queue)
	check("grace", c.Grace < 0, c.Grace)
	return errors.Join(errs...)
}

// UnmarshalYAML reads a Config from its section; keys that are absent leave their fields as they are.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	in := configYAML{timeout(c.Timeout), c.Concurrency, c.Queue, c.Grace}
	if err := unmarshal(&in); err != nil {
		return err
	}
	*c = Config{time.Duration(in.Timeout), in.Concurrency, in.Queue, in.Grace}
	return nil
}

type configYAML struct {
	Timeout     timeout       `yaml:"timeout"`
	Concurrency int           `yaml:"concurrency"`
	Queue       int           `yaml:"queue"`
	Grace       time.Duration `yaml:"grace"`
}

// timeout is a duration that may be infinite.
type timeout time.Duration

func (t *timeout) UnmarshalText(text []byte) error {
	if string(text) == "infinite" {
		*t = timeout(Infinite)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%q is not a duration: write one such as 5s or 1m30s, or "infinite"`, text)
	}
	*t = timeout(d)
	return nil
}
