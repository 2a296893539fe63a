package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/fxkit/fxkit/internal/guard"
)

// ErrNoInstance is what Pick returns for a service of which no instance is listed.
var ErrNoInstance = errors.New("no instance is listed")

// Balancer chooses one of a service's instances, by its index. There is at least one, and they are sorted by ID. n is how often Pick was
// called for the service before.
type Balancer func(instances []Instance, n uint64) int

// RoundRobin takes one after the other.
func RoundRobin(instances []Instance, n uint64) int { return int(n % uint64(len(instances))) }

// Random takes any.
func Random(instances []Instance, _ uint64) int { return rand.IntN(len(instances)) }

// Pick is one of the instances that Instances gives, as b chooses; nil is RoundRobin.
func (r *Registry) Pick(ctx context.Context, service string, b Balancer) (Instance, error) {
	all, err := r.pickFrom(ctx, service)
	if err != nil {
		return Instance{}, fmt.Errorf("registry: pick %q: %w", service, err)
	}
	if b == nil {
		b = RoundRobin
	}
	var chosen int
	err = guard.Call(func() error {
		chosen = b(all.instances, all.n)
		return nil
	})
	if err == nil && (chosen < 0 || chosen >= len(all.instances)) {
		err = fmt.Errorf("the balancer chose %d of %d", chosen, len(all.instances))
	}
	if err != nil {
		return Instance{}, fmt.Errorf("registry: pick %q: %w", service, err)
	}
	return all.instances[chosen], nil
}

type choice struct {
	instances []Instance
	n         uint64
}

func (r *Registry) pickFrom(ctx context.Context, service string) (choice, error) {
	all, _, err := r.list(ctx, service)
	if err != nil {
		return choice{}, err
	}
	if len(all) == 0 {
		return choice{}, ErrNoInstance
	}
	s, err := r.service(service)
	if err != nil {
		return choice{}, err
	}
	return choice{all, s.picks.Add(1) - 1}, nil
}
