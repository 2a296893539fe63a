package watch_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/internal/freeport"
	"github.com/fxkit/fxkit/fxetcd/watch"
	"github.com/fxkit/fxkit/internal/guard"
)

func number(_ string, value []byte) (int, error) {
	if string(value) == "boom" {
		panic("boom")
	}
	return strconv.Atoi(string(value))
}

func mirror(t *testing.T, c *clientv3.Client) *watch.Cache[int] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := watch.Mirror(ctx, c, "p/", number)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	return m
}

func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, time.Millisecond, what)
}

func TestE11_a_mirror_holds_the_snapshot_when_it_returns_and_then_follows(t *testing.T) {
	t.Parallel()
	c := etcdtest.Start(t).Client(t)
	put(t, c, "p/b", "2")
	put(t, c, "p/a", "1")
	last := put(t, c, "other", "x")
	m := mirror(t, c) // its context has ended by now
	assert.Equal(t, map[string]int{"p/a": 1, "p/b": 2}, maps.Collect(m.All()))
	assert.Equal(t, last, m.Revision())
	v, ok := m.Get("p/a")
	assert.True(t, ok)
	assert.Equal(t, 1, v)
	_, ok = m.Get("a")
	assert.False(t, ok)

	var order []string
	for key := range m.All() {
		order = append(order, key)
		if len(order) == 1 {
			put(t, c, "p/0", "0")
		}
	}
	assert.Equal(t, []string{"p/a", "p/b"}, order, "sorted, as it was when the loop began")
	last = remove(t, c, "p/b")
	eventually(t, func() bool { return m.Revision() == last }, "the last change")
	assert.Equal(t, []int{0, 1}, slices.Sorted(maps.Values(maps.Collect(m.All()))))

	require.NoError(t, m.Close())
	require.NoError(t, m.Close(), "again")
	assert.Len(t, maps.Collect(m.All()), 2, "what it held stays readable")
}

func TestE11_readers_of_a_mirror_see_whole_revisions(t *testing.T) {
	t.Parallel()
	c := etcdtest.Start(t).Client(t)
	m := mirror(t, c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			_, err := c.Txn(t.Context()).Then(clientv3.OpPut("p/a", strconv.Itoa(i)), clientv3.OpPut("p/b", strconv.Itoa(i))).Commit()
			assert.NoError(t, err)
		}
	}()
	for alive := true; alive; {
		select {
		case <-done:
			alive = false
		default:
		}
		all := maps.Collect(m.All())
		require.Equal(t, all["p/a"], all["p/b"])
	}
	eventually(t, func() bool { v, _ := m.Get("p/b"); return v == 199 }, "the last change")
}

func TestE11_a_value_that_cannot_be_decoded_is_left_out_and_told(t *testing.T) {
	t.Parallel()
	c := etcdtest.Start(t).Client(t)
	put(t, c, "p/bad", "x")
	put(t, c, "p/good", "1")
	m := mirror(t, c)
	assert.Equal(t, map[string]int{"p/good": 1}, maps.Collect(m.All()))
	var syntax *strconv.NumError
	require.ErrorAs(t, m.Err(), &syntax)
	assert.EqualError(t, m.Err(), `watch: mirror "p/": decode "p/bad": strconv.Atoi: parsing "x": invalid syntax`)

	changed := m.Changed()
	last := put(t, c, "p/good", "boom")
	<-changed
	eventually(t, func() bool { return m.Revision() == last }, "a value that makes decode panic")
	assert.Empty(t, maps.Collect(m.All()))
	assert.EqualError(t, m.Err(), `watch: mirror "p/": decode "p/bad": strconv.Atoi: parsing "x": invalid syntax`+"\n"+
		`watch: mirror "p/": decode "p/good": panic: boom`, "a sentence each, without a stack")
	var panicked *guard.PanicError
	require.ErrorAs(t, m.Err(), &panicked)
	assert.NotEmpty(t, panicked.Stack, "which can be had")
	put(t, c, "p/good", "2")
	last = remove(t, c, "p/bad")
	eventually(t, func() bool { return m.Revision() == last }, "better values")
	require.NoError(t, m.Err())
	assert.Equal(t, map[string]int{"p/good": 2}, maps.Collect(m.All()))
}

func TestE11_a_mirror_tells_how_long_ago_it_last_heard_from_the_server(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	c, _ := newClient(t, server.Endpoints())
	writer := server.Client(t)
	begin := time.Now()
	m := mirror(t, c)
	first := m.LastContact()
	assert.WithinRange(t, first, begin.Add(-time.Second), time.Now())
	assert.NotEqual(t, first, first.Round(0), "its age can be told also when the wall clock is set")
	eventually(t, func() bool { return m.LastContact().After(first.Add(2 * time.Second)) }, "a server that has nothing to tell is asked")
	last := put(t, writer, "elsewhere", "x")
	eventually(t, func() bool { return m.Revision() >= last }, "and so the revision goes on where nothing changes")
	asked := m.LastContact()

	server.Pause()
	put := make(chan error, 1)
	go func() { _, err := writer.Put(t.Context(), "p/a", "1"); put <- err }()
	assert.Equal(t, asked, m.LastContact(), "none while the server says nothing")
	server.Resume()
	require.NoError(t, <-put)
	eventually(t, func() bool { _, ok := m.Get("p/a"); return ok }, "the change")
	assert.Greater(t, m.LastContact(), asked)
}

func TestE11_a_closed_client_ends_watches_and_mirrors(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	c, err := clientv3.New(clientv3.Config{Endpoints: server.Endpoints(), Logger: zap.NewNop()})
	require.NoError(t, err)
	put(t, c, "p/1", "1")
	k := consume(t, c, "p/")
	k.await(t, "the snapshot", k.holds("p/1", "1"))
	old := consume(t, c, "p/", watch.FromRevision(1))
	old.await(t, "the past", old.holds("p/1", "1"))
	m, err := watch.Mirror(t.Context(), c, "p/", number)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	for _, k := range []*consumer{k, old} {
		<-k.done
		require.Len(t, k.errs, 1)
		require.ErrorIs(t, k.errs[0], watch.ErrClosed)
		assert.EqualError(t, k.errs[0], `watch: prefix "p/": the etcd client is closed`)
	}
	eventually(t, func() bool { return errors.Is(m.Err(), watch.ErrClosed) }, "the mirror says so too")
	assert.Len(t, maps.Collect(m.All()), 1)
	require.NoError(t, m.Close())
	for _, err := range watch.Prefix(t.Context(), c, "p/") {
		require.ErrorIs(t, err, watch.ErrClosed, "and so does one that is new")
	}
	_, err = watch.Mirror(t.Context(), c, "p/", number)
	require.ErrorIs(t, err, watch.ErrClosed)
}

// G3: a mirror that waited in vain says what the matter with etcd was.
func TestE11_a_mirror_that_waits_in_vain_says_why(t *testing.T) {
	t.Parallel()
	port, err := freeport.Reserve("127.0.0.1")
	require.NoError(t, err)
	t.Cleanup(port.Release)
	wait := func(t *testing.T, c *clientv3.Client, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := watch.Mirror(ctx, c, "p/", number)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		return err
	}
	t.Run("soon", func(t *testing.T) {
		t.Parallel()
		c, _ := newClient(t, []string{port.Address()})
		assert.EqualError(t, wait(t, c, 100*time.Millisecond), `watch: mirror "p/": no snapshot yet: etcd does not answer: context deadline exceeded`)
	})
	t.Run("after a while, with a client that knows why", func(t *testing.T) {
		t.Parallel()
		c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: []string{port.Address()}, Startup: fxetcd.Skip}, fxetcd.WithLogger(zap.NewNop()))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, c.Close()) })
		assert.Regexp(t, `^watch: mirror "p/": no snapshot yet: context deadline exceeded; last: .*connection refused$`, wait(t, c, 6*time.Second))
	})
	t.Run("its caller", func(t *testing.T) {
		t.Parallel()
		c, _ := newClient(t, []string{port.Address()})
		ctx, cancel := context.WithCancelCause(t.Context())
		go cancel(io.ErrNoProgress)
		_, err := watch.Mirror(ctx, c, "p/", number)
		assert.EqualError(t, err, `watch: mirror "p/": no snapshot yet: context canceled: multiple Read calls return no data or error`)
	})
}

func TestMirror_needs_a_client_and_a_decoder(t *testing.T) {
	t.Parallel()
	_, err := watch.Mirror(t.Context(), nil, "p/", number)
	assert.EqualError(t, err, `watch: mirror "p/": client and decode must not be nil`)
}

func TestTypes_have_names(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "Put Delete Synced Reset Type(9)", watch.Put.String()+" "+watch.Delete.String()+" "+watch.Synced.String()+" "+watch.Reset.String()+" "+watch.Type(9).String())
}

func TestE11_a_mirrors_error_ends_with_the_refusal_and_is_announced(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	protect(t, server.Client(t))
	root, _ := newClient(t, server.Endpoints(), as("root", "r"))
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	reader, _ := newClient(t, []string{proxy.Endpoint()}, as("reader", "x"))
	put(t, root, "p/1", "1")
	m := mirror(t, reader)
	_, err := root.RoleRevokePermission(t.Context(), "p", "p/", clientv3.GetPrefixRangeEnd("p/"))
	require.NoError(t, err)
	proxy.Reset()
	eventually(t, func() bool { return m.Err() != nil }, "the refusal")
	require.ErrorIs(t, m.Err(), rpctypes.ErrPermissionDenied)
	changed := m.Changed()
	require.NoError(t, grant(t, root))
	select {
	case <-changed:
		require.NoError(t, m.Err())
	case <-time.After(patience):
		require.Fail(t, "nothing is announced", "Err: %v", m.Err())
	}
}

func TestE11_a_mirrors_revision_goes_on_after_a_compaction_that_makes_no_difference(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	writer := server.Client(t)
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, _ := newClient(t, []string{proxy.Endpoint()})
	put(t, writer, "p/a", "1")
	m := mirror(t, c)
	proxy.Drop()
	proxy.Reset()
	put(t, writer, "elsewhere", "1")
	last := put(t, writer, "elsewhere", "2")
	compact(t, writer, last)
	changed := m.Changed()
	proxy.Heal()
	eventually(t, func() bool { return m.Revision() >= last }, "the revision")
	select {
	case <-changed:
		require.Fail(t, "nothing has changed")
	default:
	}
}

func TestE11_who_was_refused_learns_that_the_client_is_closed(t *testing.T) {
	t.Parallel()
	server := etcdtest.StartProcess(t)
	protect(t, server.Client(t))
	root, _ := newClient(t, server.Endpoints(), as("root", "r"))
	proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{proxy.Endpoint()}, Logger: zap.NewNop(), Username: "reader", Password: "x"})
	require.NoError(t, err)
	put(t, root, "p/1", "1")
	fast, slow := consume(t, c, "p/"), consume(t, c, "p/")
	fast.await(t, "the snapshot", fast.holds("p/1", "1"))
	slow.await(t, "the snapshot", slow.holds("p/1", "1"))
	slow.pause()
	put(t, root, "p/1", "2") // this one it takes, and then it stands still
	fast.await(t, "a change", fast.holds("p/1", "2"))
	_, err = root.RoleRevokePermission(t.Context(), "p", "p/", clientv3.GetPrefixRangeEnd("p/"))
	require.NoError(t, err)
	proxy.Reset()
	fast.await(t, "the refusal", func() bool { return len(fast.errs) == 1 })
	require.NoError(t, c.Close())
	<-fast.done
	slow.resume()
	<-slow.done
	require.ErrorIs(t, fast.errs[1], watch.ErrClosed)
	require.Len(t, slow.errs, 2)
	require.ErrorIs(t, slow.errs[0], rpctypes.ErrPermissionDenied)
	require.ErrorIs(t, slow.errs[1], watch.ErrClosed)
}
