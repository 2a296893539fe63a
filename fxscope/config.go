package fxscope

import (
	"fmt"
	"time"

	"github.com/fxkit/fxkit/fxconfig"
)

// Config is section scope of the configuration.
type Config struct {
	// EndTimeout is what ending a scope may take in all, the drain of its tasks included. It must be positive.
	EndTimeout time.Duration `yaml:"endTimeout"`
}

// DefaultConfig is what Module starts from: 15 s.
func DefaultConfig() Config { return Config{EndTimeout: 15 * time.Second} }

// Validate reports an EndTimeout that is not positive.
func (c Config) Validate() error {
	if c.EndTimeout <= 0 {
		return fxconfig.At("endTimeout", fmt.Errorf("%v is not positive, and no scope ends in no time (the default is %v)", c.EndTimeout, DefaultConfig().EndTimeout))
	}
	return nil
}
