package registry

import (
	"context"
	"math"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/watch"
)

// watchedAlone is how many keys are watched each by itself. Processes with more, or that look for instances of the same service too, watch the services
// that they belong to instead.
const watchedAlone = 8

// sentry is a watch of a registration's key, or of all keys of a service, for those registrations that it guards.
type sentry struct {
	members int
	end     context.CancelFunc
}

// guard begins to watch over the key of a registration, so that it is put back at once when it vanishes: deleted by hand, with its
// revoked lease, or with all of the server's data. The keepalive alone would tell of a lost lease after a third of the TTL, and of a
// deleted key never. r.mu is held.
func (r *Registry) guard(g *Registration) {
	if r.closed || g.guardedBy != "" {
		return
	}
	prefix := servicePrefix(r.cfg.Namespace, g.in.Service)
	s := r.services[g.in.Service]
	looked := s != nil && s.listed() // then there is such a watch already
	if r.sentries[prefix] == nil && !looked && r.watchedAlone() < watchedAlone {
		prefix = g.key
	}
	guards := r.sentries[prefix]
	if guards == nil {
		since := g.revision
		guards = &sentry{end: r.start(func(ctx context.Context) { r.watch(ctx, prefix, since) })}
		r.sentries[prefix] = guards
	}
	guards.members++
	g.guardedBy = prefix
}

func (r *Registry) watchedAlone() (n int) {
	for prefix := range r.sentries {
		if !strings.HasSuffix(prefix, "/") {
			n++
		}
	}
	return n
}

// unguard ends that. r.mu is held.
func (r *Registry) unguard(g *Registration) {
	s := r.sentries[g.guardedBy]
	if s == nil {
		return
	}
	if s.members--; s.members == 0 {
		s.end()
		delete(r.sentries, g.guardedBy)
	}
	g.guardedBy = ""
}

// watch tells the registrations under a prefix what happens to their keys, which were there at the revision since.
func (r *Registry) watch(ctx context.Context, prefix string, since int64) {
	first, seen := true, since
	for group, err := range watch.Revisions(ctx, r.client, prefix) {
		if err != nil {
			if ctx.Err() == nil {
				r.log.Warn("registered keys cannot be watched: one that is deleted by hand is not put back", zap.String("prefix", prefix), zap.Error(err))
			}
			continue
		}
		revision := group[len(group)-1].Revision
		switch {
		case revision < seen || (group[0].Type == watch.Delete && group[0].Revision == 0):
			r.doubt(prefix)
		case first:
			r.compare(prefix, group, revision)
			fallthrough
		default:
			r.observe(group)
		}
		first, seen = false, revision
	}
}

// observe looks for what this process has not done. A put of the same value counts as well: it may be another process's, or under no lease.
func (r *Registry) observe(group []watch.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range group {
		g := r.registrations[e.Key]
		if g == nil {
			continue
		}
		if (e.Type == watch.Put && e.Revision > g.revision) || (e.Type == watch.Delete && e.Revision >= g.revision) {
			g.lost(e.Revision)
		}
	}
}

// compare looks for what a snapshot lacks.
func (r *Registry) compare(prefix string, snapshot []watch.Event, revision int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	present := map[string]bool{}
	for _, e := range snapshot {
		present[e.Key] = true
	}
	for key, g := range r.registrations {
		if strings.HasPrefix(key, prefix) && !present[key] && g.revision <= revision {
			g.lost(revision)
		}
	}
}

// doubt has all keys looked at: the server was wiped or restored, and its revisions tell nothing about those of before.
func (r *Registry) doubt(prefix string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, g := range r.registrations {
		if strings.HasPrefix(key, prefix) {
			g.lost(math.MaxInt64)
		}
	}
}

// lost has the key put back, or the keeper see that it is there after all. While a task is on its way to etcd, its answer decides: it is
// compared with the revision at which the key went. The registry's mutex is held.
func (g *Registration) lost(revision int64) {
	g.lostAt = max(g.lostAt, revision)
	if g.want == online && (g.have || g.err != nil) {
		g.have, g.dirty, g.retryAt = false, true, time.Time{}
		g.announce()
		g.keeper.notify()
	}
}
