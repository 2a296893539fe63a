package main

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxqualifier"
)

// Flags is what one request may do with flags: it writes as the request's principal, and what follows from a write belongs to the
// request's scope.
type Flags struct {
	store     *Store
	audit     *Audit
	notifiers *fxqualifier.Set[Notifier]
	tasks     *fxbackground.Group
	user      Principal
}

func newFlags(store *Store, audit *Audit, notifiers *fxqualifier.Set[Notifier], tasks *fxbackground.Group, user Principal) *Flags {
	return &Flags{store, audit, notifiers, tasks, user}
}

// Put writes a flag; see Store.Put.
func (f *Flags) Put(ctx context.Context, key string, content Content, ifVersion *int64) (Flag, error) {
	notifier, err := f.notifier(ctx, content.Notify)
	if err != nil {
		return Flag{}, err
	}
	flag, err := f.store.Put(ctx, key, content, ifVersion)
	if err != nil {
		return Flag{}, err
	}
	return flag, f.follow(ctx, Record{Action: "put", Key: key, Version: flag.Version}, notifier)
}

// Delete removes a flag; see Store.Delete.
func (f *Flags) Delete(ctx context.Context, key string) (int64, error) {
	deleted, revision, err := f.store.Delete(ctx, key)
	if err != nil {
		return 0, err
	}
	notifier, _ := f.notifier(ctx, deleted.Notify) // one that is no longer configured keeps nobody from deleting
	return revision, f.follow(ctx, Record{Action: "delete", Key: key, Version: revision}, notifier)
}

// notifier is the one that a flag names; nil for none.
func (f *Flags) notifier(ctx context.Context, name string) (Notifier, error) {
	if name == "" {
		return nil, nil
	}
	notifier, err := f.notifiers.Get(ctx, byName.Of(name))
	if errors.Is(err, fxqualifier.ErrNotFound) {
		return nil, badRequest(`"notify" is %q: want "log" or "webhook"`, name)
	} else if err != nil {
		return nil, badRequest(`"notify" is %q: %v`, name, err)
	}
	return notifier, nil
}

// follow does what follows from a write, in the background: no answer waits for it, and the end of the scope does.
func (f *Flags) follow(ctx context.Context, record Record, notifier Notifier) error {
	record.Time, record.User = time.Now().UTC(), f.user
	if notifier != nil {
		notify := func(ctx context.Context) error { return notifier.Notify(ctx, record) }
		// Where the background takes no more, a notification is lost, and logged as such; a record is not.
		_ = f.tasks.Run(ctx, "notify", notify, retried(3)...)
	}
	return f.audit.Record(ctx, f.tasks, record)
}

// retried is how often a task is tried, with growing waits between the tries.
func retried(times uint) []fxbackground.TaskOption {
	return []fxbackground.TaskOption{
		fxbackground.WithTimeout(5 * time.Second),
		fxbackground.WithRetry(func() backoff.BackOff { return backoff.NewExponentialBackOff() }, times),
	}
}
