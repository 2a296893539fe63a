package fxetcd_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/internal/freeport"
)

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	reserved, err := freeport.Reserve("127.0.0.1") // until the test ends, so that no other test's server comes to listen there
	require.NoError(t, err)
	t.Cleanup(reserved.Release)
	return reserved.Address()
}

const password = "hunter2"

// enableAuth makes a root and a user "app" who may use keys under app/.
func enableAuth(t *testing.T, c *clientv3.Client) {
	t.Helper()
	ctx := within(t, plenty)
	for _, step := range []func() error{
		func() error { _, err := c.UserAdd(ctx, "root", "root"); return err },
		func() error { _, err := c.RoleAdd(ctx, "root"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.UserAdd(ctx, "app", password); return err },
		func() error { _, err := c.RoleAdd(ctx, "app"); return err },
		func() error {
			_, err := c.RoleGrantPermission(ctx, "app", "app/", clientv3.GetPrefixRangeEnd("app/"), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := c.UserGrantRole(ctx, "app", "app"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	} {
		require.NoError(t, step())
	}
}

func TestE3_startup_says_in_plain_words_why_no_server_answers(t *testing.T) {
	t.Parallel()
	ca, other := etcdtest.NewCA(t), etcdtest.NewCA(t)
	cert, key := ca.Issue(t)
	clientCert, clientKey := ca.Issue(t, "client")
	strangeCert, strangeKey := other.Issue(t, "client")
	elsewhere, elsewhereKey := ca.Issue(t, "etcd.internal")
	expired, expiredKey := ca.Issue(t)
	ca.Reissue(t, expired, expiredKey, time.Now().Add(-time.Hour))

	plain := etcdtest.Start(t).Endpoints()[0]
	secure := etcdtest.Start(t, etcdtest.WithTLS(cert, key, "")).Endpoints()
	mutual := etcdtest.Start(t, etcdtest.WithTLS(cert, key, ca.File())).Endpoints()
	named := etcdtest.Start(t, etcdtest.WithTLS(elsewhere, elsewhereKey, "")).Endpoints()
	old := etcdtest.Start(t, etcdtest.WithTLS(expired, expiredKey, "")).Endpoints()
	hole := etcdtest.StartProxy(t, plain)
	hole.Drop()
	locked := etcdtest.Start(t)
	enableAuth(t, locked.Client(t))

	for _, tt := range []struct {
		name string
		cfg  fxetcd.Config
		want string
		is   error
		as   any
	}{
		{name: "nothing listens", cfg: fxetcd.Config{Endpoints: []string{nobody(t)}}, want: "nothing listens there", is: syscall.ECONNREFUSED},
		{name: "no socket", cfg: fxetcd.Config{Endpoints: []string{"unix:///nowhere/etcd.sock"}}, want: "nothing listens there", is: syscall.ENOENT},
		{name: "unknown host", cfg: fxetcd.Config{Endpoints: []string{"nowhere.invalid:2379"}}, want: "nowhere.invalid:2379: unknown host", as: new(*net.DNSError)},
		{name: "a black hole", cfg: fxetcd.Config{Endpoints: []string{hole.Endpoint()}}, want: "it accepts connections, but says nothing"},
		{
			name: "certificate not trusted", cfg: fxetcd.Config{Endpoints: secure, TLS: &fxetcd.TLS{CA: other.File()}},
			want: fmt.Sprintf("its certificate is not trusted: signed by none of the authorities in %q", other.File()), as: new(x509.UnknownAuthorityError),
		},
		{
			name: "certificate not trusted by the system", cfg: fxetcd.Config{Endpoints: secure},
			want: "its certificate is not trusted: signed by none of the system's authorities; set tls.ca", as: new(x509.UnknownAuthorityError),
		},
		{
			name: "name mismatch", cfg: fxetcd.Config{Endpoints: named, TLS: &fxetcd.TLS{CA: ca.File()}},
			want: "name mismatch: its certificate is for another name; set tls.serverName", as: new(x509.HostnameError),
		},
		{
			name: "another name than the one expected", cfg: fxetcd.Config{Endpoints: secure, TLS: &fxetcd.TLS{CA: ca.File(), ServerName: "wrong.example"}},
			want: "name mismatch", as: new(x509.HostnameError),
		},
		{
			name: "expired certificate", cfg: fxetcd.Config{Endpoints: old, TLS: &fxetcd.TLS{CA: ca.File()}},
			want: "its certificate has expired, or is not valid yet", as: new(x509.CertificateInvalidError),
		},
		{
			name: "client certificate required", cfg: fxetcd.Config{Endpoints: mutual, TLS: &fxetcd.TLS{CA: ca.File()}},
			want: "client certificate required: set tls.cert and tls.key",
		},
		{
			name: "client certificate not accepted", cfg: fxetcd.Config{Endpoints: mutual, TLS: &fxetcd.TLS{CA: ca.File(), Cert: strangeCert, Key: strangeKey}},
			want: "the server does not accept the client's certificate",
		},
		{
			name: "TLS to a server without", cfg: fxetcd.Config{Endpoints: []string{plain}, TLS: &fxetcd.TLS{CA: ca.File()}},
			want: "most likely it does not speak TLS; then remove tls, and https://, or give the server a certificate",
		},
		{
			name: "plain text to a server with TLS", cfg: fxetcd.Config{Endpoints: []string{strings.TrimPrefix(secure[0], "https://")}},
			want: "if it expects TLS, write https://",
		},
		{
			name: "wrong password", cfg: fxetcd.Config{Endpoints: locked.Endpoints(), Username: "app", Password: "wrong"},
			want: locked.Endpoints()[0] + `: wrong user or password for user "app"`, is: rpctypes.ErrAuthFailed,
		},
		{
			name: "unknown user", cfg: fxetcd.Config{Endpoints: locked.Endpoints(), Username: "nobody", Password: "wrong"},
			want: locked.Endpoints()[0] + `: wrong user or password for user "nobody"`, is: rpctypes.ErrAuthFailed,
		},
		{
			name: "no user where one is demanded", cfg: fxetcd.Config{Endpoints: locked.Endpoints()},
			want: locked.Endpoints()[0] + ": the server demands a user: set username and password", is: rpctypes.ErrUserEmpty,
		},
		{
			name: "an unknown token", cfg: fxetcd.Config{Endpoints: locked.Endpoints(), Token: "forged"},
			want: locked.Endpoints()[0] + ": the server does not accept the token", is: rpctypes.ErrInvalidAuthToken,
		},
		{
			name: "several endpoints, each for its own reason", cfg: fxetcd.Config{Endpoints: []string{nobody(t), "nowhere.invalid:2379"}},
			want: "unknown host", is: syscall.ECONNREFUSED,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.DialTimeout = 1500 * time.Millisecond
			began := time.Now()
			_, err := fxetcd.NewClient(t.Context(), tt.cfg)
			require.Error(t, err)
			assert.Less(t, time.Since(began), 5*time.Second)
			assert.Contains(t, err.Error(), tt.want)
			assert.NotContains(t, err.Error(), "\n", "one line")
			assert.NotContains(t, err.Error(), password)
			if tt.is != nil {
				assert.ErrorIs(t, err, tt.is)
			}
			if tt.as != nil {
				assert.ErrorAs(t, err, tt.as)
			}
		})
	}

	t.Run("and what is right works", func(t *testing.T) {
		t.Parallel()
		for _, cfg := range []fxetcd.Config{
			{Endpoints: secure, TLS: &fxetcd.TLS{CA: ca.File()}},
			{Endpoints: secure, TLS: &fxetcd.TLS{InsecureSkipVerify: true}},
			{Endpoints: secure, TLS: &fxetcd.TLS{CA: ca.File(), MinVersion: "1.3"}},
			{Endpoints: []string{strings.TrimPrefix(secure[0], "https://")}, TLS: &fxetcd.TLS{CA: ca.File()}},
			{Endpoints: named, TLS: &fxetcd.TLS{CA: ca.File(), ServerName: "etcd.internal"}},
			{Endpoints: mutual, TLS: &fxetcd.TLS{CA: ca.File(), Cert: clientCert, Key: clientKey}},
			{Endpoints: []string{"http://" + plain}},
			{Endpoints: []string{"HTTP://" + plain + "/"}},
			{Endpoints: []string{strings.Replace(secure[0], "https", "Https", 1) + "/"}, TLS: &fxetcd.TLS{CA: ca.File()}},
			{Endpoints: locked.Endpoints(), Username: "app", Password: password},
			{Endpoints: []string{plain}, Username: "app", Password: "on a server without users"},
			{Endpoints: []string{nobody(t), plain}},
			{Endpoints: []string{plain}, RejectOldCluster: true},
			{Endpoints: []string{nobody(t), plain}, RejectOldCluster: true},
		} {
			c := connect(t, cfg)
			_, err := c.Put(within(t, plenty), "app/k", "v")
			require.NoError(t, err)
		}
	})
}

// E3, E6: an instance that may not read its probe's key is there all the same.
func TestE3_permission_denied_is_an_answer(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	enableAuth(t, s.Client(t))
	c := connect(t, fxetcd.Config{Endpoints: s.Endpoints(), Username: "app", Password: password})
	_, err := c.Get(within(t, plenty), "health")
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
}

func TestE3_startup_fails_naming_instance_and_endpoints_and_leaves_nothing_behind(t *testing.T) {
	t.Parallel()
	s, missing := etcdtest.Start(t), nobody(t)
	app := fx.New(fx.NopLogger, fxetcd.Module, yaml(fmt.Sprintf(`
etcd:
  default: {dialTimeout: 500ms}
  clients:
    main: {endpoints: %s}
    audit: {endpoints: %s, username: app, password: hunter2}
`, s.Endpoints()[0], missing)))
	require.NoError(t, app.Err(), "no I/O in fx.New")
	err := app.Start(within(t, plenty))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Contains(t, err.Error(), "audit")
	assert.Contains(t, err.Error(), missing+": nothing listens there")
	assert.NotContains(t, err.Error(), "main")
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestE3_startup_skip_starts_without_the_server(t *testing.T) {
	t.Parallel()
	var c *clientv3.Client
	start(t, fxetcd.Module, fx.Populate(&c), yaml(fmt.Sprintf(`etcd: {client: {endpoints: "%s", startup: skip}}`, nobody(t))))
	_, err := c.Get(within(t, 50*time.Millisecond), "k")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestE3_a_low_instance_does_not_hold_up_the_start_and_comes_back(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	s.Stop()
	var f *fxetcd.Factory
	start(t, fxetcd.Module, fx.Populate(&f), yaml(fmt.Sprintf(`
etcd:
  clients: {cache: {endpoints: "%s", dialTimeout: 1s}}
  clientPriority: {cache: Low}
`, s.Endpoints()[0])))
	assert.False(t, f.Has("cache"))
	s.Restart()
	c, err := f.GetOrCreate(within(t, plenty), "cache", nil)
	require.NoError(t, err)
	_, err = c.Get(within(t, plenty), "k")
	require.NoError(t, err)
}

func TestE3_a_hundred_unreachable_instances_fail_in_one_dialTimeout(t *testing.T) {
	t.Parallel()
	missing := nobody(t)
	var text strings.Builder
	text.WriteString("etcd:\n  default: {dialTimeout: 1s}\n  clients:\n")
	for n := range 128 {
		fmt.Fprintf(&text, "    i%d: {endpoints: %q}\n", n, missing)
	}
	app := fx.New(fx.NopLogger, fxetcd.Module, yaml(text.String()))
	require.NoError(t, app.Err())
	began := time.Now()
	err := app.Start(within(t, plenty))
	took := time.Since(began)
	require.Error(t, err)
	assert.Equal(t, 128, strings.Count(err.Error(), "nothing listens there"), "%v", err)
	assert.Less(t, took, 5*time.Second, "one after the other they would take 128 s")
}

func TestE3_at_least_128_instances_start_at_once(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("etcd:\n  default: {dialTimeout: 1m}\n  clients:\n")
	var listeners []*net.TCPListener
	for n := range 128 {
		l, err := net.Listen("tcp", "127.0.0.1:0") // which accepts and says nothing, so that none gets out of the way of another
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		listeners = append(listeners, l.(*net.TCPListener))
		fmt.Fprintf(&text, "    i%d: {endpoints: %q}\n", n, l.Addr())
	}
	app := fx.New(fx.NopLogger, fxetcd.Module, yaml(text.String()))
	require.NoError(t, app.Err())
	ctx, cancel := context.WithTimeout(t.Context(), 2*plenty)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- app.Start(ctx) }()
	for n, l := range listeners {
		require.NoError(t, l.SetDeadline(time.Now().Add(plenty)))
		c, err := l.Accept()
		require.NoError(t, err, "instance %d of 128 does not try to connect", n)
		defer func() { _ = c.Close() }()
	}
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
}

func TestE3_a_start_that_is_cancelled_ends_at_once(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("changed my mind")
	go cancel(reason)
	began := time.Now()
	_, err := fxetcd.NewClient(ctx, fxetcd.Config{Endpoints: []string{nobody(t)}, DialTimeout: time.Minute})
	require.ErrorIs(t, err, reason)
	assert.Less(t, time.Since(began), 5*time.Second)
}

// E3: no call of ours can block without a deadline, construction with credentials included.
func TestE3_credentials_and_no_server_block_nobody(t *testing.T) {
	t.Parallel()
	began := time.Now()
	_, err := fxetcd.NewClient(context.Background(), fxetcd.Config{
		Endpoints: []string{nobody(t)}, Username: "app", Password: "hunter2", RejectOldCluster: true, DialTimeout: 300 * time.Millisecond,
	})
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Less(t, time.Since(began), 5*time.Second)

	c := connect(t, fxetcd.Config{
		Endpoints: []string{nobody(t)}, Username: "app", Password: "hunter2", Startup: fxetcd.Skip, RequestTimeout: 100 * time.Millisecond,
	})
	_, err = c.Get(context.Background(), "k")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "no answer within requestTimeout 100ms")
}

func TestE3_a_server_that_is_too_old_is_refused(t *testing.T) {
	t.Parallel()
	_, err := fxetcd.NewClient(t.Context(), fxetcd.Config{
		Endpoints: []string{oldServer(t)}, RejectOldCluster: true, DialTimeout: plenty,
	})
	require.ErrorIs(t, err, clientv3.ErrOldCluster)
	assert.ErrorContains(t, err, "the server is too old (3.5.21; at least 3.6, or set rejectOldCluster: false)")
}

func TestE5_a_check_reads_like_a_reader_and_says_why_it_fails(t *testing.T) {
	t.Parallel()
	s, locked := etcdtest.Start(t), etcdtest.Start(t)
	enableAuth(t, locked.Client(t))
	var f *fxetcd.Factory
	start(t, fxetcd.Module, fx.Populate(&f), yaml(fmt.Sprintf(`
etcd:
  clients:
    locked: {endpoints: "%s", username: app, password: `+password+`}
    main: {endpoints: "%s"}
`, locked.Endpoints()[0], s.Endpoints()[0])))
	for _, h := range f.Check(within(t, plenty)) {
		require.NoError(t, h.Err, h.Name)
	}
	s.Stop()
	health := f.Check(within(t, 3*time.Second))
	require.Len(t, health, 2)
	assert.NoError(t, health[0].Err, "permission denied is healthy")
	require.ErrorIs(t, health[1].Err, syscall.ECONNREFUSED)
	require.ErrorIs(t, health[1].Err, context.DeadlineExceeded)
	assert.ErrorContains(t, health[1].Err, "nothing listens there")
}

// E5: linearizable: a member cut off from the others is no healthy server, although it answers.
func TestE5_a_check_fails_at_a_member_without_a_leader(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	var f *fxetcd.Factory
	start(t, fxetcd.Module, fx.Populate(&f), yaml(fmt.Sprintf(`etcd: {client: {endpoints: "%s"}}`, cluster.Endpoints()[0])))
	require.NoError(t, f.Check(within(t, plenty))[0].Err)
	cluster.Partition(0)
	assert.ErrorContains(t, f.Check(within(t, 3*time.Second))[0].Err, "leader")
	cluster.Heal(0)
	require.NoError(t, f.Check(within(t, plenty))[0].Err)
}
