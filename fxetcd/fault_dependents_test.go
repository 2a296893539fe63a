package fxetcd_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxetcd/exclusive"
	"github.com/fxkit/fxkit/fxetcd/registry"
	"github.com/fxkit/fxkit/fxetcd/watch"
)

// dependents are what the service builds on its client: an instance in the registry, and the list of them; a lead; and a mirror of all its keys.
// Every fault of the suite happens to them too.
type dependents struct {
	admin     *clientv3.Client // sees the server by a way of its own
	registry  *registry.Registry
	exclusive *exclusive.Exclusive
	instance  *registry.Registration
	mirror    *watch.Cache[string]
	reign     atomic.Pointer[reign]
	first     exclusive.Term
}

// A reign is the term of the lead, and its context.
type reign struct {
	context.Context
	term exclusive.Term
}

// sections are those of the dependents in the configuration. Their keys are where the service may write.
const sections = `registry: {namespace: app/services, ttl: 60s}, exclusive: {namespace: app/exclusive}`

func (d *dependents) module() fx.Option {
	return fx.Options(registry.Module, exclusive.Module, fx.Populate(&d.registry, &d.exclusive))
}

// start waits until all of them work.
func (d *dependents) start(t *testing.T, client, admin *clientv3.Client) {
	t.Helper()
	d.admin = admin
	var err error
	d.instance, err = d.registry.Register(within(t, plenty), registry.Instance{Service: "self", Address: "127.0.0.1:1"})
	require.NoError(t, err)
	d.mirror, err = watch.Mirror(within(t, plenty), client, "app/", func(_ string, value []byte) (string, error) { return string(value), nil })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.mirror.Close()) })

	ctx, cancel := context.WithCancel(context.Background())
	led := make(chan error)
	go func() { led <- d.exclusive.Lead(ctx, "work", d.lead(t)) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-led)
	})
	d.recover(t)
	d.first = d.reign.Load().term
}

func (d *dependents) lead(t *testing.T) func(context.Context, exclusive.Term) error {
	return func(ctx context.Context, term exclusive.Term) error {
		if before := d.reign.Swap(&reign{ctx, term}); before != nil {
			assert.ErrorIs(t, context.Cause(before.Context), exclusive.ErrLost)
			assert.Greater(t, term.Revision, before.term.Revision)
		}
		<-ctx.Done()
		return nil
	}
}

// recover waits until all work again, without anybody's help, and say so.
func (d *dependents) recover(t *testing.T) {
	t.Helper()
	var last error
	if !assert.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		last = d.healthy(ctx)
		return last == nil
	}, ttl, 10*time.Millisecond) {
		require.NoError(t, last)
	}
}

// healthy is nil if the instance is listed, as the registry says it is, the lead is held, and the mirror is true.
func (d *dependents) healthy(ctx context.Context) error {
	if state := d.instance.State(); state != registry.Online {
		return fmt.Errorf("the instance is %v: %w", state, d.instance.Err())
	}
	got, err := d.admin.Get(ctx, "app/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	held := map[string]string{}
	listed := false
	for _, kv := range got.Kvs {
		held[string(kv.Key)] = string(kv.Value)
		listed = listed || string(kv.Key) == "app/services/self/127.0.0.1:1" && kv.Lease != 0
	}
	if !listed {
		return fmt.Errorf("the instance is not listed, and says that it is: %v", held)
	}
	if mirrored := maps.Collect(d.mirror.All()); !maps.Equal(mirrored, held) {
		return fmt.Errorf("the mirror holds at revision %d %q, and etcd at %d %q", d.mirror.Revision(), slices.Sorted(maps.Keys(mirrored)),
			got.Header.Revision, slices.Sorted(maps.Keys(held)))
	}
	if err := d.mirror.Err(); err != nil {
		return err
	}
	all, err := d.registry.Instances(ctx, "self")
	if err != nil || len(all) != 1 || d.registry.Stale("self") > 0 {
		return fmt.Errorf("the list is %v, stale for %v: %w", all, d.registry.Stale("self"), err)
	}
	leader := d.reign.Load()
	if leader == nil || leader.Err() != nil {
		return fmt.Errorf("there is no lead")
	}
	fenced, err := d.admin.Txn(ctx).If(leader.term.Guard).Commit()
	if err != nil || !fenced.Succeeded {
		return fmt.Errorf("the lead is not what etcd knows: %w", err)
	}
	return nil
}

// unshaken asserts that nothing that has happened took the lead or the instance away, not even for a while, or made the list stale.
func (d *dependents) unshaken(t *testing.T) {
	t.Helper()
	leader := d.reign.Load()
	require.NoError(t, leader.Err(), "the lead was lost")
	require.Equal(t, d.first, leader.term, "the lead was lost, and won again")
	require.Equal(t, registry.Online, d.instance.State())
	require.Zero(t, d.registry.Stale("self"))
}
