package fxfactory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/internal/guard"
	"github.com/fxkit/fxkit/internal/spelling"
)

// configure makes the effective configuration of an instance: from, or the defaults if that is nil, changed by fn and validated. It
// runs the user's code, which may panic or hang, so it returns when ctx ends.
func (f *Factory[T, C]) configure(ctx context.Context, from *C, fn func(*C)) (C, error) {
	var made C
	err := guard.Within(ctx, func() error {
		if from != nil {
			made = f.clone(*from)
		} else if err := f.source.defaults(&made); err != nil {
			return err
		}
		change(&made, fn, f.clone)
		return fxconfig.Validate(&made)
	}, nil)
	if err != nil {
		var none C
		return none, err
	}
	return made, nil
}

// change runs fn, and copies what fn may have taken from elsewhere: instances never share a map, slice or pointer.
func change[C any](cfg *C, fn func(*C), clone cloner[C]) {
	if fn != nil {
		fn(cfg)
		*cfg = clone(*cfg)
	}
}

// A plan is what a factory begins with.
type plan[C any] struct {
	instances   []planned[C] // sorted by name
	defaultName string
}

type planned[C any] struct {
	name     string
	priority Priority
	config   C
}

// chooseDefault decides which of the names is the default instance: F3.
func chooseDefault(configured string, names []string) (string, error) {
	switch {
	case configured != "":
		if !slices.Contains(names, configured) {
			return "", fmt.Errorf("no instance %q%s; known: %s", configured, spelling.Hint(configured, names), list(names))
		}
		return configured, nil
	case slices.Contains(names, defaultInstance):
		return defaultInstance, nil
	case len(names) == 1:
		return names[0], nil
	default:
		return "", nil
	}
}

// fromSettings makes the source and the planner of a factory that code configures.
func fromSettings[T, C any](spec Spec[T, C], cfg Settings[C]) (source[C], planner[T, C]) {
	clone := newCloner[C]()
	src := source[C]{
		position: func(string) string { return "" },
		locate:   func(_ string, err error) error { return err },
		defaults: func(into *C) error {
			change(into, spec.Default, clone)
			change(into, cfg.Default, clone)
			return nil
		},
	}
	return src, func(ctx context.Context, f *Factory[T, C]) (plan[C], error) {
		clients := cfg.Clients
		if len(clients) == 0 {
			clients = spec.Fallback
		}
		names, instances, err := f.planCode(ctx, clients, cfg.Priorities)
		errs := []error{err}
		for _, name := range slices.Sorted(maps.Keys(cfg.Priorities)) {
			if !slices.Contains(names, name) {
				errs = append(errs, fmt.Errorf("in Priorities: no instance %q%s; known: %s", name, spelling.Hint(name, names), list(names)))
			}
			if priority := cfg.Priorities[name]; !priority.valid() {
				errs = append(errs, fmt.Errorf("in Priorities: %q has the unknown %v: one of High, Medium, Low", name, priority))
			}
		}
		defaultName, err := chooseDefault(cfg.DefaultName, names)
		if err != nil {
			errs = append(errs, fmt.Errorf("in DefaultName: %w", err))
		}
		return plan[C]{instances, defaultName}, errors.Join(errs...)
	}
}

// planCode plans the instances that functions configure.
func (f *Factory[T, C]) planCode(ctx context.Context, clients map[string]func(*C), priorities map[string]Priority) ([]string, []planned[C], error) {
	names := slices.Sorted(maps.Keys(clients))
	var instances []planned[C]
	var errs []error
	for _, name := range names {
		cfg, err := f.configure(ctx, nil, clients[name])
		if name == "" {
			err = errors.Join(errors.New("an instance needs a name"), err)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", name, err))
		}
		instances = append(instances, planned[C]{name, priorities[name], cfg})
	}
	return names, instances, errors.Join(errs...)
}
