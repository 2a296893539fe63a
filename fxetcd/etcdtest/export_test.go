package etcdtest

import "go.etcd.io/etcd/server/v3/embed"

// TokenTTL is what a server is configured with: to wait for an expiry would take a test seconds.
func TokenTTL(opts ...Option) uint {
	var s settings
	for _, o := range opts {
		o.apply(&s)
	}
	cfg := embed.NewConfig()
	s.configure(cfg)
	return cfg.AuthTokenTTL
}
