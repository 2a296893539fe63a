package registry

import (
	"context"
	"strings"
	"time"

	"github.com/fxkit/fxkit/fxetcd/watch"
)

// watchedAlone is how many registrations are watched each by itself. Processes with more watch the whole namespace instead.
const watchedAlone = 8

// guard begins to watch over the key of a registration, so that it is put back at once when it vanishes: deleted by hand, with its
// revoked lease, or with all of the server's data. The keepalive alone would tell of a lost lease after a third of the TTL, and of a
// deleted key never. r.mu is held.
func (r *Registry) guard(g *Registration) {
	if r.closed {
		return
	}
	alone := 0
	for _, other := range r.registrations {
		if other.unguard != nil && !other.shared {
			alone++
		}
	}
	if alone < watchedAlone {
		g.unguard = r.start(func(ctx context.Context) { r.watch(ctx, g.key) })
		return
	}
	g.shared = true
	g.unguard = func() { g.shared = false }
	if !r.guarded {
		r.guarded = true
		r.start(func(ctx context.Context) { r.watch(ctx, r.cfg.Namespace+"/") })
	}
}

// watch tells the registrations under a prefix what happens to their keys.
func (r *Registry) watch(ctx context.Context, prefix string) {
	first := true
	for group, err := range watch.Revisions(ctx, r.client, prefix) {
		if err != nil {
			continue // without the right to read there is no guard; the keeper tells what else is wrong
		}
		snapshot := first || group[0].Type == watch.Reset
		first = false
		r.observe(prefix, group, snapshot)
	}
}

func (r *Registry) observe(prefix string, group []watch.Event, snapshot bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	present := map[string]bool{}
	for _, e := range group {
		g := r.registrations[e.Key]
		if g == nil {
			continue
		}
		switch e.Type {
		case watch.Put:
			present[e.Key] = true
			if string(e.Value) != g.value && e.Revision > g.revision {
				g.lost()
			}
		case watch.Delete:
			if e.Revision >= g.revision {
				g.lost()
			}
		case watch.Reset, watch.Synced:
		}
	}
	if !snapshot {
		return
	}
	revision := group[len(group)-1].Revision
	for key, g := range r.registrations {
		if strings.HasPrefix(key, prefix) && !present[key] && g.revision <= revision {
			g.lost()
		}
	}
}

// lost has the key put back, or the keeper see that it is there after all. The registry's mutex is held.
func (g *Registration) lost() {
	if g.want == online && (g.have || g.err != nil) {
		g.have, g.dirty, g.retryAt = false, true, time.Time{}
		g.announce()
		g.keeper.notify()
	}
}
