package fxbackground

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Infinite, as a timeout, lets a drain wait as long as its context does. In YAML it is written "infinite".
const Infinite time.Duration = math.MaxInt64

// Config is how a [Runner] bounds its tasks. The zero Config has no limits and cancels at once when it drains.
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
	check := func(field string, negative bool, value any) {
		if negative {
			errs = append(errs, fmt.Errorf("%s is %v: it cannot be negative", field, value))
		}
	}
	check("Timeout", c.Timeout < 0, c.Timeout)
	check("Concurrency", c.Concurrency < 0, c.Concurrency)
	check("Queue", c.Queue < 0, c.Queue)
	check("Grace", c.Grace < 0, c.Grace)
	return errors.Join(errs...)
}
