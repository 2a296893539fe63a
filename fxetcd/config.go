package fxetcd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fxkit/fxkit/fxconfig"
)

// Config is one instance's section. Its zero value, with endpoints, is a client with the defaults named here, which are those that
// production needs; etcd's own client has other ones.
//
// Of a duration, zero is the default; where the documentation says so, a negative one switches the thing off.
type Config struct {
	// Endpoints is where the servers are: host:port, http://host:port, https://host:port or unix:///path, all of one kind. In YAML the key
	// is endpoints, hosts or host, which are one: the later replaces the earlier; a list, or a text with commas. None means the server of an
	// EndpointSource, such as embedded.Module's, and without one is an error.
	Endpoints []string `yaml:"-" alias:"endpoints,hosts,host"`

	// DialTimeout is how long startup waits for the instance's servers. Default: 5s.
	DialTimeout time.Duration `yaml:"dialTimeout"`
	// RequestTimeout bounds calls whose context has no deadline, but for those that last: Watch, RequestProgress, KeepAlive, GetStream, Snapshot,
	// SnapshotWithVersion and Defragment. Keep it below 7s, after which a server without a leader answers, and the client repeats
	// writes unasked. Default: 5s. Negative: none.
	RequestTimeout time.Duration `yaml:"requestTimeout"`
	// KeepAliveTime is after how long a silence of the server, while calls or watches wait, the client asks whether it is
	// still there: at least 10s, which is also the default. Negative: never; then a connection that died silently hangs its callers.
	KeepAliveTime time.Duration `yaml:"keepAliveTime"`
	// KeepAliveTimeout is how long the client waits for that answer before it drops the connection. Default: 3s.
	KeepAliveTimeout time.Duration `yaml:"keepAliveTimeout"`
	// ConnectBackoff is how the client goes on trying to connect.
	ConnectBackoff ConnectBackoff `yaml:"connectBackoff"`

	// MaxSendSize limits a request. Default: 2MiB, a little more than servers accept unless told otherwise.
	MaxSendSize fxconfig.Size `yaml:"maxSendSize"`
	// MaxReceiveSize limits a response. Default: none.
	MaxReceiveSize fxconfig.Size `yaml:"maxReceiveSize"`

	// AutoSyncInterval is how often the endpoints are replaced by those that the cluster's members advertise. They must be reachable
	// from here as they are, with no proxy or address translation between, and not an EndpointSource's. At least 1s. Default: never.
	AutoSyncInterval time.Duration `yaml:"autoSyncInterval"`
	// RejectOldCluster fails startup if a server that answers is older than the minor version before the client's own.
	RejectOldCluster bool `yaml:"rejectOldCluster"`
	// RequireLeader has a member that lost its cluster's leader refuse at once, rather than wait: reads go on at another member, writes fail
	// with rpctypes.ErrNoLeader, and watches end with it. Default (nil): true.
	RequireLeader *bool `yaml:"requireLeader"`

	// MaxUnaryRetries is how often a call that is safe to repeat is made again when a server is away. With a username, any call is made
	// again with a new token where the server refused the old one, which counts. Default: 100, as is zero.
	MaxUnaryRetries uint `yaml:"maxUnaryRetries"`
	// BackoffWaitBetween is the wait before such a repetition, once every endpoint has had its turn. Default: 25ms.
	BackoffWaitBetween time.Duration `yaml:"backoffWaitBetween"`
	// BackoffJitter varies that wait by up to this fraction, from 0 to 1. Default: 0.1.
	BackoffJitter float64 `yaml:"backoffJitter"`

	// Namespace is put before each key, and taken off again, for KV, Watch and Lease and all that is built on them; other keys do not
	// exist for the client. A final slash is added where it is missing, so that "audit" does not see the keys of "audit2".
	Namespace string `yaml:"namespace"`

	// Username and Password authenticate the client. They need no connection when the client is made, but at its first call.
	Username string          `yaml:"username"`
	Password fxconfig.Secret `yaml:"password"`
	// Token, a JSON web token, does so instead.
	Token fxconfig.Secret `yaml:"token"`

	// TLS is how the servers are trusted, and how the client shows who it is. An https:// endpoint alone trusts the system's authorities.
	TLS *TLS `yaml:"tls"`

	// Startup is Probe (the default) or Skip, in YAML in any case: whether startup reaches the servers.
	Startup Startup `yaml:"startup"`
}

// ConnectBackoff is how often a client tries to connect to a server that is away. It never gives up.
type ConnectBackoff struct {
	Base              time.Duration `yaml:"base"`              // the first wait. Default: 100ms
	Max               time.Duration `yaml:"max"`               // the longest wait, hence how late a returned server is noticed. Default: 3s
	MinConnectTimeout time.Duration `yaml:"minConnectTimeout"` // how long one attempt may take. Default: 3s
}

// TLS names PEM files. They are read again for each connection, so that certificates can be renewed under a running client.
type TLS struct {
	CA                 string `yaml:"ca"`                 // authorities to trust. Default: the system's
	Cert               string `yaml:"cert"`               // the client's own certificate, and
	Key                string `yaml:"key"`                // its private key
	ServerName         string `yaml:"serverName"`         // the name to expect in the servers' certificates. Default: each endpoint's host
	MinVersion         string `yaml:"minVersion"`         // "1.2" or "1.3". Default: 1.2
	InsecureSkipVerify bool   `yaml:"insecureSkipVerify"` // accept any certificate. For experiments
}

// Startup is what startup does with an instance.
type Startup string

const (
	// Probe has startup fail unless the instance's servers answer within DialTimeout.
	Probe Startup = "probe"
	// Skip starts without them: calls wait until they are there.
	Skip Startup = "skip"
)

// UnmarshalText reads Probe or Skip, in any case.
func (s *Startup) UnmarshalText(text []byte) error {
	*s = Startup(strings.ToLower(string(text)))
	if *s != "" && *s != Probe && *s != Skip {
		return unknownStartup(text)
	}
	return nil
}

func unknownStartup[T ~string | ~[]byte](text T) error {
	return fmt.Errorf("%q: one of %q, %q", text, Probe, Skip)
}

const (
	minKeepAliveTime    = 10 * time.Second
	minAutoSyncInterval = time.Second
)

func orDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// fillDefaults is idempotent.
func (c *Config) fillDefaults() {
	orDefault(&c.DialTimeout, 5*time.Second)
	orDefault(&c.RequestTimeout, 5*time.Second)
	orDefault(&c.KeepAliveTime, minKeepAliveTime)
	orDefault(&c.KeepAliveTimeout, 3*time.Second)
	orDefault(&c.ConnectBackoff.Base, 100*time.Millisecond)
	orDefault(&c.ConnectBackoff.Max, 3*time.Second)
	orDefault(&c.ConnectBackoff.MinConnectTimeout, 3*time.Second)
	orDefault(&c.MaxUnaryRetries, 100)
	orDefault(&c.BackoffWaitBetween, 25*time.Millisecond)
	orDefault(&c.BackoffJitter, 0.1)
	orDefault(&c.Startup, Probe)
	if c.RequireLeader == nil {
		c.RequireLeader = new(true)
	}
	for n, text := range c.Endpoints {
		if e, err := parseEndpoint(text); err == nil && e.text != text {
			c.Endpoints = slices.Clone(c.Endpoints) // the caller's own
			c.Endpoints[n] = e.text
		}
	}
	if c.Namespace != "" && c.Namespace[len(c.Namespace)-1] != '/' {
		c.Namespace += "/"
	}
}

// UnmarshalYAML lets endpoints be written in several ways, under three names.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type Keys Config
	section := struct {
		Keys      `yaml:",inline"`
		Endpoints endpointList `yaml:"endpoints" alias:"hosts,host"`
	}{Keys(*c), c.Endpoints}
	err := unmarshal(&section)
	*c = Config(section.Keys)
	c.Endpoints = section.Endpoints
	return err
}

// endpointList reads a list of endpoints, or one text.
type endpointList []string

func (l *endpointList) UnmarshalYAML(unmarshal func(any) error) error {
	var shape any
	if err := unmarshal(&shape); err != nil {
		return err
	}
	var items []endpointText
	var err error
	if _, isList := shape.([]any); isList {
		err = unmarshal(&items)
	} else {
		items = make([]endpointText, 1)
		err = unmarshal(&items[0])
	}
	if err != nil {
		return err
	}
	*l = endpointList{}
	for _, item := range items {
		*l = append(*l, item...)
	}
	if len(*l) == 0 {
		return errors.New("no endpoints: give host:port, or leave the key out to use a server of this process")
	}
	return nil
}
