package fxfactory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/internal/guard"
	"github.com/fxkit/fxkit/internal/spelling"
)

// The keys of a section. priority is an alias of clientPriority.
const (
	keyDefault     = "default"
	keyClient      = "client" // short for clients.default
	keyClients     = "clients"
	keyDefaultName = "defaultClientName"
	keyPriority    = "clientPriority"
	keyPriorityOld = "priority"

	defaultInstance = "default"
)

var sectionKeys = []string{keyDefault, keyClient, keyClients, keyDefaultName, keyPriority, keyPriorityOld}

// A section is a factory's part of the configuration, which may be nil or lack it.
type section struct {
	config *fxconfig.Config
	path   string
}

func (s section) at(keys ...string) string { return s.path + "." + fxconfig.Path(keys...) }

// present says whether something other than null stands at a path.
func (s section) present(path string) bool {
	if s.config.Keys(path) != nil {
		return true
	}
	if !s.config.Has(path) {
		return false
	}
	var value any
	return s.config.Fill(&value, path) != nil || value != nil
}

// names are the configured instances, sorted.
func (s section) names() []string {
	names := s.config.Keys(s.at(keyClients))
	if s.present(s.at(keyClient)) && !slices.Contains(names, defaultInstance) {
		names = append(names, defaultInstance)
	}
	slices.Sort(names)
	return names
}

// layers are the paths that the configuration of an instance is merged from, the last wins.
func (s section) layers(name string) []string {
	paths := []string{s.at(keyDefault), s.at(keyClients, name)}
	if name == defaultInstance {
		paths = append(paths, s.at(keyClient))
	}
	return paths
}

// position is where an instance is configured.
func (s section) position(name string) string {
	if name == "" {
		return ""
	}
	if at := s.config.Origin(s.at(keyClients, name)); at != "" {
		return at
	}
	if name == defaultInstance {
		return s.config.Origin(s.at(keyClient))
	}
	return ""
}

// locate gives what fxconfig.At has made, say in Spec.Create, the places of its keys in the configuration of an instance.
func (s section) locate(name string, err error) error {
	if _, ok := err.(*fxconfig.Error); !ok || !s.config.Has(s.path) { //nolint:errorlint // a wrapped one has words of its own around it
		return err
	}
	return s.config.Validate(invalid{err}, s.layers(name)...)
}

// An invalid value is one that Validate finds an error in.
type invalid struct{ err error }

func (i invalid) Validate() error { return i.err }

// A reader makes what a factory needs out of its section.
type reader[T, C any] struct {
	section

	keys  []string // further ones that the section may have
	spec  Spec[T, C]
	clone cloner[C]
}

func fromSection[T, C any](s section, keys []string, spec Spec[T, C]) (source[C], planner[T, C]) {
	r := &reader[T, C]{section: s, keys: keys, spec: spec, clone: newCloner[C]()}
	return source[C]{defaults: r.defaults, position: r.position, locate: r.locate}, r.plan
}

// defaults fills what lies beneath every instance.
func (r *reader[T, C]) defaults(into *C) error {
	if err := r.beneath(into); err != nil {
		return err
	}
	return r.config.Fill(into, r.at(keyDefault))
}

// beneath fills what lies beneath the section.
func (r *reader[T, C]) beneath(into *C) error {
	return guard.Call(func() error {
		change(into, r.spec.Default, r.clone)
		return nil
	})
}

// plan reads the whole section, and reports all that is wrong with it.
func (r *reader[T, C]) plan(ctx context.Context, f *Factory[T, C]) (plan[C], error) {
	var found problems
	r.shape(r.keys, &found)
	var unused C
	found.add(r.defaults(&unused), "", "")

	names := r.names()
	instances := r.instances(ctx, names, f.options.concurrency, &found)
	if len(names) == 0 {
		var err error
		names, instances, err = f.planCode(ctx, r.spec.Fallback, nil)
		found.add(err, "", "")
	}
	priorities := r.priorities(names, &found)
	for i := range instances {
		instances[i].priority = priorities[instances[i].name]
	}
	return plan[C]{instances: instances, defaultName: r.defaultName(names, &found)}, found.err()
}

// instances decodes the configured instances, several at a time.
func (r *reader[T, C]) instances(ctx context.Context, names []string, limit int, found *problems) []planned[C] {
	instances := make([]planned[C], len(names))
	errs := make([]error, len(names))
	indexes := make([]int, len(names))
	for i, name := range names {
		instances[i].name = name
		indexes[i] = i
	}
	each(indexes, limit, func(i int) {
		errs[i] = guard.Within(ctx, func() error { // since decoding runs UnmarshalYAML and Validate of the user's types
			if err := r.beneath(&instances[i].config); err != nil {
				return err
			}
			return r.config.Decode(&instances[i].config, r.layers(names[i])...)
		}, nil)
	})
	for i, name := range names {
		if name == "" {
			errs[i] = errors.Join(errs[i], errors.New("an instance needs a name"))
		}
		found.add(errs[i], r.position(name), r.at(keyClients, name))
	}
	return instances
}

// shape reports what does not belong into a section.
func (s section) shape(more []string, found *problems) {
	keys := s.config.Keys(s.path)
	if keys == nil {
		found.add(s.config.Fill(&struct{}{}, s.path), "", "") // of another kind than a mapping
	}
	known := slices.Concat(sectionKeys, more)
	for _, key := range keys {
		if !slices.Contains(known, key) {
			hint := spelling.Hint(key, known)
			if hint == "" {
				hint = fmt.Sprintf(" (known: %s)", spelling.List(known))
			}
			found.addf(s.config.Origin(s.at(key)), s.at(key), "unknown key%s", hint)
		}
	}
	if path := s.at(keyClients); s.config.Keys(path) == nil {
		found.add(s.config.Fill(&struct{}{}, path), "", "")
	}
}

func (s section) priorities(names []string, found *problems) map[string]Priority {
	var all map[string]Priority
	for _, key := range []string{keyPriorityOld, keyPriority} {
		path := s.at(key)
		found.add(s.config.Fill(&all, path), s.config.Origin(path), path)
		for _, name := range s.config.Keys(path) {
			if !slices.Contains(names, name) {
				path := s.at(key, name)
				found.addf(s.config.Origin(path), path, "no instance %q%s; known: %s", name, spelling.Hint(name, names), list(names))
			}
		}
	}
	return all
}

func (s section) defaultName(names []string, found *problems) string {
	path := s.at(keyDefaultName)
	configured, err := fxconfig.Get[string](s.config, path)
	found.add(err, s.config.Origin(path), path)
	name, err := chooseDefault(configured, names)
	found.add(err, s.config.Origin(path), path)
	return name
}

// problems collects everything that is wrong with a section, each thing once: what is wrong with the default
// shows in every instance.
type problems struct {
	list   []fxconfig.Problem
	seen   map[fxconfig.Problem]bool
	causes []error
}

// add takes an error of fxconfig apart; for any other the position and path are as given.
func (p *problems) add(err error, position, path string) {
	if err == nil {
		return
	}
	p.causes = append(p.causes, err)
	var many *fxconfig.Error
	if errors.As(err, &many) && many.Error() == err.Error() {
		for _, one := range many.Problems {
			p.problem(one)
		}
		return
	}
	p.problem(fxconfig.Problem{Position: position, Path: path, Message: err.Error()})
}

func (p *problems) addf(position, path, format string, args ...any) {
	p.problem(fxconfig.Problem{Position: position, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (p *problems) problem(one fxconfig.Problem) {
	if p.seen[one] {
		return
	}
	if p.seen == nil {
		p.seen = make(map[fxconfig.Problem]bool)
	}
	p.seen[one] = true
	p.list = append(p.list, one)
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &configError{all: &fxconfig.Error{Problems: p.list}, causes: p.causes}
}

// A configError reads as one *fxconfig.Error with all problems, and unwraps to it first, then to what it was collected from.
type configError struct {
	all    *fxconfig.Error
	causes []error
}

func (e *configError) Error() string   { return e.all.Error() }
func (e *configError) Unwrap() []error { return append([]error{e.all}, e.causes...) }
