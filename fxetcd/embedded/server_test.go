package embedded_test

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

const plenty = 15 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// start runs a server until the test ends.
func start(t *testing.T, cfg embedded.Config, opts ...embedded.Option) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(within(t, plenty), cfg, append([]embedded.Option{embedded.WithLogger(zap.NewNop())}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

func TestE7_the_folder_is_made_for_this_user_alone(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	loose := filepath.Join(base, "loose")
	require.NoError(t, os.Mkdir(loose, 0o755))
	shared := filepath.Join(base, "shared")
	require.NoError(t, os.Mkdir(shared, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(shared, "other"), nil, 0o600))
	for dir, want := range map[string]fs.FileMode{
		filepath.Join(base, "made", "with", "parents"): 0o700,
		loose:  0o700, // empty, hence its
		shared: 0o755, // somebody's for something else too
	} {
		for range 2 { // the second time with its data in it
			s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
			require.NoError(t, err)
			require.NoError(t, s.Stop(t.Context()))
			assert.Equal(t, dir, s.Dir())
			info, err := os.Stat(dir)
			require.NoError(t, err)
			assert.Equal(t, want, info.Mode().Perm(), dir)
		}
	}
	require.NoError(t, os.Chmod(loose, 0o755))
	start(t, embedded.Config{Dir: loose})
	info, err := os.Stat(loose)
	require.NoError(t, err)
	assert.EqualValues(t, 0o700, info.Mode().Perm(), "nothing but its data is in it")
}

func TestE7_two_servers_on_one_folder_are_a_clear_error(t *testing.T) {
	t.Parallel()
	t.Run("in one process", func(t *testing.T) {
		t.Parallel()
		s := start(t, embedded.Config{Dir: t.TempDir()})
		began := time.Now()
		_, err := embedded.Start(within(t, plenty), embedded.Config{Dir: s.Dir()})
		require.ErrorIs(t, err, embedded.ErrInUse)
		assert.EqualError(t, err, `embedded: start etcd at 127.0.0.1:0: folder "`+s.Dir()+`": the folder is in use by another server`)
		assert.Less(t, time.Since(began), 2*time.Second, "etcd would wait for ever")
	})
	t.Run("in another process", func(t *testing.T) {
		t.Parallel()
		p := etcdtest.StartProcess(t)
		_, err := embedded.Start(within(t, plenty), embedded.Config{Dir: p.Dir()})
		require.ErrorIs(t, err, embedded.ErrInUse)
		p.Kill()
		start(t, embedded.Config{Dir: p.Dir()}) // the lock ends with the process, however it ends
	})
}

func TestE7_what_cannot_start_says_why(t *testing.T) {
	t.Parallel()
	taken := start(t, embedded.Config{Dir: t.TempDir()}).Endpoints()[0]
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, tt := range []struct {
		name string
		cfg  embedded.Config
		want string
	}{
		{"a taken port", embedded.Config{Listen: taken}, "embedded: start etcd at " + taken + ": cannot listen on " + taken + ": bind: address already in use"},
		{"an address of another machine", embedded.Config{Listen: "192.0.2.1:2379"}, "cannot listen on 192.0.2.1:2379: bind: cannot assign requested address"},
		{"the same for a free port", embedded.Config{Listen: "192.0.2.1:0"}, "reserve a free port of 192.0.2.1: bind: cannot assign requested address"},
		{"a folder in a file", embedded.Config{Dir: filepath.Join(file, "etcd")}, "not a directory"},
		{"a folder that is a file", embedded.Config{Dir: file}, "not a directory"},
		{"no port", embedded.Config{Listen: "127.0.0.1"}, `embedded: configuration: listen: "127.0.0.1" is not host:port, such as 127.0.0.1:2379, or 127.0.0.1:0 for a free port`},
		{"no number", embedded.Config{Listen: "127.0.0.1:etcd"}, `listen: "127.0.0.1:etcd": the port must be a number from 0 (a free one) to 65535`},
		{"a host by name", embedded.Config{Listen: "etcd.internal:2379"}, `listen: "etcd.internal:2379": the host must be an IP address of this machine, or "localhost"`},
		{"hardly any history", embedded.Config{History: time.Second}, `history: 1s is too short: at least 1m, or a negative one to keep all of it`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.cfg.Dir == "" {
				tt.cfg.Dir = t.TempDir()
			}
			_, err := embedded.Start(within(t, plenty), tt.cfg)
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.want)
		})
	}
}

func TestE7_an_unwritable_folder_says_so(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("this user may write anywhere")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o500))
	_, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir})
	assert.ErrorContains(t, err, "is not writable")
}

func TestE7_data_outlive_a_restart_on_another_port_and_nothing_tells_clients_of_the_old_one(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for run := range 3 {
		s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
		require.NoError(t, err)
		c := etcdtest.Client(t, s.Endpoints()...)
		require.NoError(t, c.Sync(within(t, plenty)))
		assert.Equal(t, []string{"http://" + s.Endpoints()[0]}, c.Endpoints(), "the member list tells the port that was chosen")
		got, err := c.Get(within(t, plenty), "k")
		require.NoError(t, err)
		require.Len(t, got.Kvs, min(run, 1))
		_, err = c.Put(within(t, plenty), "k", "v")
		require.NoError(t, err)
		require.NoError(t, s.Stop(t.Context()))
	}
}

func TestE7_it_listens_where_it_is_told(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"127.0.0.1:0", "localhost:0", ":0", "0.0.0.0:0", "[::1]:0"} {
		t.Run(listen, func(t *testing.T) {
			t.Parallel()
			if listen == "[::1]:0" {
				l, err := net.Listen("tcp", listen)
				if err != nil {
					t.Skip("this machine has no IPv6")
				}
				require.NoError(t, l.Close())
			}
			s := start(t, embedded.Config{Dir: t.TempDir(), Listen: listen})
			require.Len(t, s.Endpoints(), 1)
			_, err := etcdtest.Client(t, s.Endpoints()...).Get(within(t, plenty), "k")
			require.NoError(t, err)
		})
	}
}

// E4, E7
func TestE4_it_stops_at_once_whatever_its_clients_hold_open(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []embedded.Option
	}{
		{"in plain text", nil},
		{"with TLS", []embedded.Option{withTLS(t)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: t.TempDir()}, append(tt.opts, embedded.WithLogger(zap.NewNop()))...)
			require.NoError(t, err)
			c := etcdtest.Client(t, s.Endpoints()...)
			for range 10 {
				require.True(t, (<-c.Watch(t.Context(), "k", clientv3.WithCreatedNotify())).Created)
			}
			began := time.Now()
			require.NoError(t, s.Stop(context.Background()))
			assert.Less(t, time.Since(began), time.Second)
			require.NoError(t, s.Stop(context.Background()), "a second stop is nil")
		})
	}
}

func withTLS(t *testing.T) embedded.Option {
	t.Helper()
	cert, key := etcdtest.NewCA(t).Issue(t)
	return embedded.Configure(func(cfg *embed.Config) { cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = cert, key })
}

// E4: etcd waits for such a connection for as long as it lasts.
func TestE4_a_connection_that_never_says_anything_does_not_hold_up_the_stop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
	require.NoError(t, err)
	silent, err := net.Dial("tcp", s.Endpoints()[0])
	require.NoError(t, err)
	_, err = etcdtest.Client(t, s.Endpoints()...).Put(within(t, plenty), "k", "v") // accepted after the silent one
	require.NoError(t, err)

	began := time.Now()
	require.NoError(t, s.Stop(t.Context()))
	assert.Less(t, time.Since(began), 5*time.Second)
	start(t, embedded.Config{Dir: dir, Listen: s.Endpoints()[0]}) // folder and port are free
	require.NoError(t, silent.Close())
}

func TestE7_a_start_that_is_cancelled_leaves_nothing_behind(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := embedded.Start(ctx, embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
	require.ErrorIs(t, err, context.Canceled)
	assert.NoDirExists(t, dir, "it has not begun")

	// On its way, with the folder in its hands: the next start gets it.
	ctx, cancel = context.WithCancel(t.Context())
	_, err = embedded.Start(ctx, embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()), embedded.Configure(func(*embed.Config) { cancel() }))
	require.ErrorIs(t, err, context.Canceled)
	start(t, embedded.Config{Dir: dir})

	// A member that waits for others that never come: etcd is up, and never ready.
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	lonely := t.TempDir()
	_, err = embedded.Start(ctx, embedded.Config{Dir: lonely}, embedded.WithLogger(zap.NewNop()), embedded.Configure(func(cfg *embed.Config) {
		cfg.InitialCluster += ",other=http://127.0.0.1:1"
	}))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "not ready in time")
}

func TestE7_its_log_is_the_applications(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	s, err := embedded.Start(within(t, plenty), embedded.Config{Dir: t.TempDir()}, embedded.WithLogger(zap.New(core)))
	require.NoError(t, err)
	c := etcdtest.Client(t, s.Endpoints()...)
	require.True(t, (<-c.Watch(t.Context(), "k", clientv3.WithCreatedNotify())).Created)
	require.NoError(t, s.Stop(t.Context()))
	require.NotZero(t, logs.Len())
	for _, e := range logs.All() {
		assert.Regexp(t, `^etcd(\.|$)`, e.LoggerName)
		assert.Less(t, e.Level, zapcore.WarnLevel, "a start and a stop with nothing wrong: %s", e.Message)
	}

	core, logs = observer.New(zapcore.DebugLevel)
	start(t, embedded.Config{Dir: t.TempDir(), LogLevel: zapcore.WarnLevel}, embedded.WithLogger(zap.New(core)))
	assert.Zero(t, logs.Len(), "%v", logs.All())
}

// E7: etcd ends the process when it finds what it cannot go on with. Ours is an error.
func TestE7_what_is_fatal_to_etcd_is_not_to_the_process(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := embedded.Start(within(t, plenty), embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()), embedded.Configure(func(cfg *embed.Config) {
		cfg.ClientAutoTLS = true
		cfg.SelfSignedCertValidity = 0 // which it cannot make a certificate for
	}))
	require.Error(t, err)
	assert.ErrorContains(t, err, "failed to get client self-signed certs")
	start(t, embedded.Config{Dir: dir}) // the folder is free again
}

func TestE7_history_is_compacted_unless_told_otherwise(t *testing.T) {
	t.Parallel()
	for history, want := range map[time.Duration]string{0: "1h0m0s", time.Minute: "1m0s", -1: "0"} {
		var got embed.Config
		s := start(t, embedded.Config{Dir: t.TempDir(), History: history})
		got = s.Etcd().Config()
		assert.Equal(t, want, got.AutoCompactionRetention)
		assert.Equal(t, "periodic", got.AutoCompactionMode)
		assert.False(t, got.UnsafeNoFsync, "a real server is durable")
	}
}
