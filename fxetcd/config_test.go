package fxetcd_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxetcd"
)

func decode(t *testing.T, text string) (fxetcd.Config, error) {
	t.Helper()
	c, err := fxconfig.Load(fxconfig.Text("config.yaml", text))
	require.NoError(t, err)
	var cfg fxetcd.Config
	err = c.Decode(&cfg, "")
	return cfg, err
}

func TestE1_endpoints_are_written_as_one_likes(t *testing.T) {
	t.Parallel()
	two := []string{"a:2379", "b:2379"}
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a list", "endpoints: [a:2379, b:2379]", two},
		{"a text", "endpoints: a:2379", two[:1]},
		{"a text with commas", "endpoints: a:2379, b:2379", two},
		{"a list with a comma in an item", `endpoints: ["a:2379,b:2379"]`, two},
		{"hosts", "hosts: [a:2379, b:2379]", two},
		{"hosts as a text", "hosts: a:2379,b:2379", two},
		{"host", "host: a:2379", two[:1]},
		{"host as a list", "host: [a:2379, b:2379]", two},
		{"with a scheme", "endpoints: ['https://a:2379', 'https://b:2379']", []string{"https://a:2379", "https://b:2379"}},
		{"a socket", "endpoints: unix:///run/etcd.sock", []string{"unix:///run/etcd.sock"}},
		{"an address with a zone", "endpoints: 'http://[fe80::1%25eth0]:2379'", []string{"http://[fe80::1%25eth0]:2379"}},
		{"IPv6", "endpoints: '[::1]:2379'", []string{"[::1]:2379"}},
		{"a scheme in capitals", "endpoints: 'HTTP://a:2379'", []string{"HTTP://a:2379"}},
		{"a final slash", "endpoints: http://a:2379/", []string{"http://a:2379/"}},
		{"none", "dialTimeout: 1s", nil},
		{"null", "endpoints: null", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := decode(t, tt.text)
			require.NoError(t, err)
			assert.Equal(t, tt.want, cfg.Endpoints)
		})
	}
}

func TestE1_what_cannot_work_is_refused_with_the_reason(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"an empty endpoint", "endpoints: ''", `config.yaml:1:12: endpoints: an endpoint is empty`},
		{"an empty list", "endpoints: []", `config.yaml:1:12: endpoints: no endpoints: give host:port, or leave the key out to use a server of this process`},
		{"an empty item", "endpoints: [a:1, '']", `config.yaml:1:18: endpoints.1: an endpoint is empty`},
		{"a trailing comma", "endpoints: 'a:1,'", `config.yaml:1:12: endpoints: an endpoint is empty`},
		{"a duplicate", "endpoints: [a:1, a:1]", `config.yaml:1:1: endpoints: endpoint "a:1" is given twice`},
		{"a duplicate in capitals", "endpoints: [a:1, 'A:1']", `endpoint "A:1" is given twice`},
		{"a duplicate under another name of the key", "{username: '', hosts: [a:1, a:1]}", `config.yaml:1:16: hosts: endpoint "a:1" is given twice`},
		{"a duplicate by another scheme", "endpoints: [a:1, 'http://a:1']", `endpoint "http://a:1" is given twice`},
		{"nonsense", "endpoints: '::::'", `endpoint "::::": not host:port`},
		{"no port", "endpoints: etcd.internal", `endpoint "etcd.internal": no port: servers usually listen on etcd.internal:2379`},
		{"a port alone", "endpoints: 2379", `config.yaml:1:12: endpoints: endpoint "2379": no host: write host:port, such as 127.0.0.1:2379`},
		{"a switch", "endpoints: [true]", `config.yaml:1:13: endpoints.0: endpoint "true": no host: write host:port`},
		{"a scheme alone", "endpoints: 'http://'", `endpoint "http://": no host: write host:port`},
		{"no host", "endpoints: ':2379'", `endpoint ":2379": no host before the port`},
		{"port 0", "endpoints: a:0", `endpoint "a:0": the port must be a number from 1 to 65535`},
		{"a port too high", "endpoints: a:65536", `the port must be a number from 1 to 65535`},
		{"a strange host", "endpoints: 'a b:1'", `"a b" is neither a host name nor an IP address`},
		{"an unknown scheme", "endpoints: ftp://a:1", `endpoint "ftp://a:1": unknown scheme "ftp": host:port, http://, https:// or unix://`},
		{"mixed schemes", "endpoints: ['http://a:1', 'https://b:1']", `endpoints "http://a:1" and "https://b:1" differ in their scheme: the client would use the first one's for all`},
		{"a scheme and none", "endpoints: ['https://a:1', 'b:1']", `differ in their scheme`},
		{"a path", "endpoints: http://a:1/v3", `endpoint "http://a:1/v3": nothing may follow the port`},
		{"two slashes", "endpoints: http://a:1//", `endpoint "http://a:1//": nothing may follow the port`},
		{"a password in the endpoint", "endpoints: http://root:hunter2@a:1", `config.yaml:1:12: endpoints: an endpoint at a:1 contains credentials: they belong in username and password`},
		{"a password without a scheme", "endpoints: root:hunter2@a:1", `an endpoint at a:1 contains credentials`},
		{"a password and an unknown scheme", "endpoints: [b:1, 'ftp://root:hunter2@a:1']", `config.yaml:1:18: endpoints.1: an endpoint at a:1 contains credentials`},
		{"a password with what a URL may not hold", "endpoints: 'http://root:hunter2/#? %@a:1'", `an endpoint at a:1 contains credentials`},
		{"a password with an @", "endpoints: http://root:xx@hunter2@a:1", `an endpoint at a:1 contains credentials`},
		{"a password with a comma", "endpoints: 'HTTPS://root:hunter2,hunter2@a:1, b:1'", `an endpoint at a:1 contains credentials`},
		{"a password, and no host", "endpoints: root@hunter2", `an endpoint contains credentials`},
		{"a socket without slashes", "endpoints: 'unix:rel'", `endpoint "unix:rel": a socket is written unix:///path`},
		{"a socket with one", "endpoints: 'unix:/run/etcd.sock'", `a socket is written unix:///path`},
		{"a socket without a path", "endpoints: unix://", `unix:// needs the path of a socket`},
		{"a socket that no URL can name", "endpoints: 'unix:///run/100%'", `endpoint "unix:///run/100%": the path cannot be part of a URL: invalid URL escape "%"`},
		{"a zone outside of a URL", "endpoints: '[fe80::1%eth0]:2379'", `endpoint "[fe80::1%eth0]:2379": an address with a zone must be a URL: http://[fe80::1%25eth0]:2379`},
		{"two spellings of one key", "endpoints: a:1\nhosts: b:1", `config.yaml:2:1: hosts: hosts is the same key as endpoints: keep one of them`},
		{"a misspelt key", "endpiont: a:1", `config.yaml:1:1: endpiont: unknown key (did you mean "endpoints"?)`},
		{"a username without a password", "username: app", `config.yaml:1:1: username: a username without a password: the client would go unauthenticated`},
		{"a password without a username", "password: x", `password: a password without a username`},
		{"a token and a username", "{token: x, username: app, password: y}", `token: either a token, or a username and a password`},
		{"TLS with an http:// endpoint", "{endpoints: 'http://a:1', tls: {}}", `tls: an http:// endpoint is not encrypted, whatever tls says: write https://, or remove tls`},
		{"a certificate without a key", "tls: {cert: c.pem}", `cert and key belong together: give both, or neither`},
		{"an unknown version of TLS", "tls: {minVersion: '1.0'}", `config.yaml:1:7: tls.minVersion: "1.0": "1.2" or "1.3", in quotes`},
		{"no verification against an authority", "tls: {ca: ca.pem, insecureSkipVerify: true}", `tls.insecureSkipVerify: accepts any certificate, so ca and serverName would mean nothing`},
		{"a duration without a unit", "dialTimeout: 5", `dialTimeout: `},
		{"a negative dialTimeout", "dialTimeout: -1s", `dialTimeout: -1s: must be positive`},
		{"keepalives that servers punish", "keepAliveTime: 5s", `keepAliveTime: 5s is too often: servers close the connections of clients that ask more than every 10s`},
		{"a negative keepAliveTimeout", "keepAliveTimeout: -1s", `keepAliveTimeout: -1s: must be positive`},
		{"a backoff that starts beyond its end", "connectBackoff: {base: 5s, max: 1s}", `config.yaml:1:18: connectBackoff.base: 5s is more than max, 1s`},
		{"sending more than receiving", "{maxSendSize: 4MiB, maxReceiveSize: 1MiB}", `maxSendSize: 4194304 bytes are more than maxReceiveSize, 1048576: what was written could not be read back`},
		{"a jitter beyond 1", "backoffJitter: 2", `backoffJitter: 2: a fraction from 0 to 1`},
		{"a jitter that is no number", "backoffJitter: .nan", `config.yaml:1:1: backoffJitter: NaN: a fraction from 0 to 1`},
		{"an unknown startup", "startup: Maybe", `config.yaml:1:10: startup: "Maybe": one of "probe", "skip"`},
		{"a startup that is switched off", "startup: false", `startup: "false": one of "probe", "skip"`},
		{"a negative autoSyncInterval", "autoSyncInterval: -1s", `autoSyncInterval: -1s: must be positive`},
		{"an autoSyncInterval that asks all the time", "autoSyncInterval: 999ms", `autoSyncInterval: 999ms is too often: members seldom change, so at least 1s`},
		{"a port in serverName", "tls: {serverName: 'localhost:77'}", `config.yaml:1:7: tls.serverName: "localhost:77" is neither a host name nor an IP address`},
		{"a URL in serverName", "tls: {serverName: 'https://a'}", `tls.serverName: "https://a" is neither a host name nor an IP address`},
		{"a space in serverName", "tls: {serverName: a b}", `tls.serverName: "a b" is neither a host name nor an IP address`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(t, tt.text)
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestE1_every_key_is_read(t *testing.T) {
	t.Parallel()
	cfg, err := decode(t, `
endpoints: a:2379
dialTimeout: 1s
requestTimeout: 2s
keepAliveTime: 30s
keepAliveTimeout: 4s
connectBackoff: {base: 200ms, max: 5s, minConnectTimeout: 6s}
maxSendSize: 4MiB
maxReceiveSize: 8MiB
autoSyncInterval: 1m
rejectOldCluster: true
requireLeader: false
maxUnaryRetries: 7
backoffWaitBetween: 8ms
backoffJitter: 0.5
namespace: audit/
username: app
password: hunter2
tls: {ca: ca.pem, cert: c.pem, key: k.pem, serverName: etcd.internal, minVersion: "1.3"}
startup: skip
`)
	require.NoError(t, err)
	assert.Equal(t, fxetcd.Config{
		Endpoints: []string{"a:2379"}, DialTimeout: time.Second, RequestTimeout: 2 * time.Second,
		KeepAliveTime: 30 * time.Second, KeepAliveTimeout: 4 * time.Second,
		ConnectBackoff: fxetcd.ConnectBackoff{Base: 200 * time.Millisecond, Max: 5 * time.Second, MinConnectTimeout: 6 * time.Second},
		MaxSendSize:    4 << 20, MaxReceiveSize: 8 << 20, AutoSyncInterval: time.Minute, RejectOldCluster: true,
		RequireLeader: new(false), MaxUnaryRetries: 7, BackoffWaitBetween: 8 * time.Millisecond, BackoffJitter: 0.5,
		Namespace: "audit/", Username: "app", Password: "hunter2",
		TLS:     &fxetcd.TLS{CA: "ca.pem", Cert: "c.pem", Key: "k.pem", ServerName: "etcd.internal", MinVersion: "1.3"},
		Startup: fxetcd.Skip,
	}, cfg)
	cfg, err = decode(t, "token: abc")
	require.NoError(t, err)
	assert.EqualValues(t, "abc", cfg.Token)
	cfg, err = decode(t, "tls: {insecureSkipVerify: true}")
	require.NoError(t, err)
	assert.True(t, cfg.TLS.InsecureSkipVerify)
	for _, name := range []string{"etcd.internal", "127.0.0.1", "'::1'"} {
		_, err = decode(t, "tls: {serverName: "+name+"}")
		assert.NoError(t, err)
	}
	for text, want := range map[string]fxetcd.Startup{"Skip": fxetcd.Skip, "SKIP": fxetcd.Skip, "Probe": fxetcd.Probe, "''": ""} {
		cfg, err = decode(t, "startup: "+text)
		require.NoError(t, err, "any case")
		assert.Equal(t, want, cfg.Startup)
	}
	_, err = decode(t, "{autoSyncInterval: 1s, backoffJitter: 1}")
	require.NoError(t, err)
}

// E1, E13
func TestE13_the_factory_shows_effective_values_and_the_section_has_room_for_others(t *testing.T) {
	t.Parallel()
	var f *fxetcd.Factory
	app := fx.New(fx.NopLogger, fxetcd.Module, fx.Populate(&f), yaml(`
etcd:
  default: {dialTimeout: 1s}
  client: {endpoints: [a:1]}
  clients: {audit: {hosts: b:1, username: app, password: hunter2}}
  embedded: {dir: data/etcd}
  registry: {namespace: services}
`))
	require.NoError(t, app.Err(), "credentials need no I/O in fx.New")
	cfg, err := f.Config("audit")
	require.NoError(t, err)
	assert.Equal(t, time.Second, cfg.DialTimeout)
	assert.Equal(t, 5*time.Second, cfg.RequestTimeout)
	assert.Equal(t, 10*time.Second, cfg.KeepAliveTime)
	assert.Equal(t, 3*time.Second, cfg.KeepAliveTimeout)
	assert.Equal(t, fxetcd.ConnectBackoff{Base: 100 * time.Millisecond, Max: 3 * time.Second, MinConnectTimeout: 3 * time.Second}, cfg.ConnectBackoff)
	assert.True(t, *cfg.RequireLeader)
	require.NoError(t, f.Stop(t.Context()))
}

func TestE1_an_error_names_instance_and_position(t *testing.T) {
	t.Parallel()
	app := fx.New(fx.NopLogger, fxetcd.Module, yaml("etcd:\n  clients:\n    audit: {endpiont: a:1}\n    main: {endpoints: ['::::']}\n"))
	require.Error(t, app.Err())
	assert.ErrorContains(t, app.Err(), `config.yaml:3:13: etcd.clients.audit.endpiont: unknown key (did you mean "endpoints"?)`)
	assert.ErrorContains(t, app.Err(), `config.yaml:4:24: etcd.clients.main.endpoints.0: endpoint "::::": not host:port`)
}

func TestE1_files_of_TLS_that_cannot_be_read_fail_at_once(t *testing.T) {
	t.Parallel()
	_, err := fxetcd.NewClient(t.Context(), fxetcd.Config{
		Endpoints: []string{"a:1"},
		TLS:       &fxetcd.TLS{CA: "missing-ca.pem", Cert: "missing-cert.pem", Key: "missing-key.pem"},
	})
	require.Error(t, err)
	assert.ErrorContains(t, err, "tls.ca: open missing-ca.pem: no such file or directory")
	assert.ErrorContains(t, err, `tls.cert "missing-cert.pem" and tls.key "missing-key.pem"`)

	_, err = fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: []string{"a:1"}, TLS: &fxetcd.TLS{CA: "config_test.go"}})
	assert.ErrorContains(t, err, `tls.ca: "config_test.go" holds no PEM certificate`)
}

func TestE1_an_instance_needs_endpoints_from_somewhere(t *testing.T) {
	t.Parallel()
	app := fx.New(fx.NopLogger, fxetcd.Module, yaml("etcd: {clients: {audit: {namespace: a/}}}"))
	assert.ErrorContains(t, app.Err(), "no endpoints: set endpoints, or list embedded.Module for a server in this process")
	assert.ErrorContains(t, app.Err(), "audit")

	app = fx.New(fx.NopLogger, fxetcd.Module, yaml("etcd: {client: {dialTimeout: 2s}}"))
	assert.ErrorContains(t, app.Err(), "no endpoints: set endpoints", "an instance that is configured")
	var f *fxetcd.Factory
	app = fx.New(fx.NopLogger, fxetcd.Module, fx.Populate(&f), yaml("etcd: {default: {dialTimeout: 2s}}"))
	require.NoError(t, app.Err(), "none is configured")
	cfg, err := f.Config("default")
	require.NoError(t, err)
	assert.Equal(t, []string{"127.0.0.1:2379"}, cfg.Endpoints)
	assert.Equal(t, 2*time.Second, cfg.DialTimeout)
	require.NoError(t, f.Stop(t.Context()))
}

// The message that the package's documentation shows.
func TestE1_the_documented_message(t *testing.T) {
	t.Parallel()
	app := fx.New(fx.NopLogger, fxetcd.Module, yaml("etcd:\n  clients:\n    audit:\n      endpoints: https://a:2379\n      username: app\n"))
	const want = "config.yaml:5:7: etcd.clients.audit.username: a username without a password: the client would go unauthenticated"
	assert.ErrorContains(t, app.Err(), want)
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	assert.Contains(t, string(text), want)
}

// FuzzEndpoints: what is accepted is an endpoint, and nothing makes it fail in another way than by an error.
func FuzzEndpoints(f *testing.F) {
	for _, seed := range []string{"a:1", "http://a:1", "HTTP://A:1/", "unix:rel", "UNIX:///x", "unix:///x", "::::", "[::1]:1", "http://u:p@a:1", "a:1,b:2", "", "://", "http://[::1", "a:-1", "unix://%", "[::1%x]:1", "http://[::1%25x]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cfg := fxetcd.Config{Endpoints: []string{text}, Startup: fxetcd.Skip}
		if cfg.Validate() != nil {
			return
		}
		c, err := fxetcd.NewClient(t.Context(), cfg)
		require.NoError(t, err, "valid, and yet no client can be made of it")
		require.NoError(t, c.Close())
	})
}

// E1: a Config that is made in Go is held to the same.
func TestE1_NewClient_refuses_what_a_file_may_not_say(t *testing.T) {
	t.Parallel()
	_, err := fxetcd.NewClient(t.Context(), fxetcd.Config{
		Endpoints: []string{"https://a:1"}, DialTimeout: -1, Startup: fxetcd.Skip,
		TLS: &fxetcd.TLS{Key: "k.pem", MinVersion: "TLS1.3", CA: "ca.pem", InsecureSkipVerify: true},
	})
	assert.EqualError(t, err, "fxetcd: configuration: tls: cert and key belong together: give both, or neither; "+
		`tls.minVersion: "TLS1.3": "1.2" or "1.3", in quotes; `+
		"tls.insecureSkipVerify: accepts any certificate, so ca and serverName would mean nothing: remove one or the other; "+
		"dialTimeout: -1ns: must be positive (startup: skip does without the wait)", "in one line")
	var problems *fxconfig.Error
	require.ErrorAs(t, err, &problems)
	assert.Len(t, problems.Problems, 4)

	_, err = fxetcd.NewClient(t.Context(), fxetcd.Config{})
	assert.EqualError(t, err, "fxetcd: configuration: no endpoints: set Endpoints, or pass WithEndpointSource")
	_, err = fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: []string{"a:1,b:2"}})
	assert.EqualError(t, err, `fxetcd: configuration: endpoints: endpoint "a:1,b:2": one endpoint per element, without commas`)
}

// E1: what a later layer, or the instance itself, says under one name of the key replaces what was said before under another.
func TestE1_endpoints_hosts_and_host_are_the_same_key_wherever_they_stand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, layer string
		want              []string
		problem           string
	}{
		{"an instance's host over the default's endpoints", "default: {endpoints: [a:1]}, clients: {y: {host: b:1}}", "", []string{"b:1"}, ""},
		{"an instance's endpoints over the default's host", "default: {host: a:1}, clients: {y: {endpoints: [b:1]}}", "", []string{"b:1"}, ""},
		{"a layer's host over the file's endpoints", "clients: {y: {endpoints: [a:1]}}", "clients: {y: {host: b:1}}", []string{"b:1"}, ""},
		{"the instance's own over a layer's default", "clients: {y: {endpoints: [b:1]}}", "default: {host: a:1}", []string{"b:1"}, ""},
		{"what a layer replaces is not expanded", "clients: {y: {endpoints: '${FXETCD_TEST_UNSET}'}}", "clients: {y: {hosts: [b:1]}}", []string{"b:1"}, ""},
		{
			"a wrong one is told where it stands", "default: {endpoints: [a:1]}, clients: {y: {}}", "clients: {y: {hosts: [b:1, b:1]}}", nil,
			`config.prod.yaml:1:22: etcd.clients.y.hosts: endpoint "b:1" is given twice`,
		},
		{
			"two in one mapping", "default: {endpoints: [a:1]}, clients: {y: {hosts: b:1, host: c:1}}", "", nil,
			"config.yaml:1:63: etcd.clients.y.host: host is the same key as hosts: keep one of them",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var f *fxetcd.Factory
			app := fx.New(fx.NopLogger, fxetcd.Module, fx.Populate(&f), fxconfig.From(
				fxconfig.Text("config.yaml", "etcd: {"+tt.file+"}"), fxconfig.Text("config.prod.yaml", "etcd: {"+tt.layer+"}")))
			if tt.problem != "" {
				require.ErrorContains(t, app.Err(), "fxfactory: configure etcd: "+tt.problem)
				assert.NotContains(t, app.Err().Error(), "\n", "nothing else is wrong")
				return
			}
			require.NoError(t, app.Err())
			cfg, err := f.Config("y")
			require.NoError(t, err)
			assert.Equal(t, tt.want, cfg.Endpoints)
			require.NoError(t, f.Stop(t.Context()))
		})
	}
}
