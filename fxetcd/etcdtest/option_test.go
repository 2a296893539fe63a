package etcdtest_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// server is what a Server and a Process have in common.
type server interface {
	Endpoints() []string
	Client(tb testing.TB) *clientv3.Client
}

// both runs a test with a server of either kind: options must reach the child as well.
func both(t *testing.T, opts []etcdtest.Option, test func(t *testing.T, s server)) {
	t.Helper()
	t.Run("in this process", func(t *testing.T) {
		t.Parallel()
		test(t, etcdtest.Start(t, opts...))
	})
	t.Run("as a process", func(t *testing.T) {
		t.Parallel()
		test(t, etcdtest.StartProcess(t, opts...))
	})
}

func TestE12_a_quota_is_exceeded_after_so_many_bytes(t *testing.T) {
	t.Parallel()
	both(t, []etcdtest.Option{etcdtest.WithQuota(2 << 20)}, func(t *testing.T, s server) {
		c, ctx := s.Client(t), within(t, plenty)
		var err error
		for err == nil { // etcd looks at the size ten times a second
			_, err = c.Put(ctx, "k", strings.Repeat("v", 100<<10))
		}
		require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	})
}

func TestE12_a_server_with_TLS_shows_its_certificate_and_demands_one(t *testing.T) {
	t.Parallel()
	ca := etcdtest.NewCA(t)
	cert, key := ca.Issue(t)
	both(t, []etcdtest.Option{etcdtest.WithTLS(cert, key, "")}, func(t *testing.T, s server) {
		assert.Regexp(t, `^https://127\.0\.0\.1:\d+$`, s.Endpoints()[0])
		_, err := s.Client(t).Get(within(t, plenty), "k")
		require.NoError(t, err)
		proxy := etcdtest.StartProxy(t, s.Endpoints()[0])
		assert.Regexp(t, `^https://`, proxy.Endpoint())
		_, err = etcdtest.Client(t, proxy.Endpoint()).Get(within(t, plenty), "k")
		require.NoError(t, err)
	})
	both(t, []etcdtest.Option{etcdtest.WithTLS(cert, key, ca.File())}, func(t *testing.T, s server) {
		_, err := s.Client(t).Get(within(t, 300*time.Millisecond), "k")
		require.Error(t, err)
		pair, err := tls.LoadX509KeyPair(ca.Issue(t, "client"))
		require.NoError(t, err)
		c, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints(), Logger: zap.NewNop(), TLS: &tls.Config{
			InsecureSkipVerify: true, Certificates: []tls.Certificate{pair},
		}})
		require.NoError(t, err)
		_, err = c.Get(within(t, plenty), "k")
		require.NoError(t, err)
		require.NoError(t, c.Close())
	})
}

func TestE12_tokens_expire_after_their_TTL(t *testing.T) {
	t.Parallel()
	for ttl, want := range map[time.Duration]uint{0: 300, time.Second: 1, 1500 * time.Millisecond: 1, time.Millisecond: 1, time.Minute: 60} {
		assert.Equal(t, want, etcdtest.TokenTTL(etcdtest.WithTokenTTL(ttl)), ttl)
	}
}

func TestE7_an_address_of_ones_own_is_kept(t *testing.T) {
	t.Parallel()
	first := etcdtest.Start(t)
	address := first.Endpoints()[0]
	first.Stop()
	assert.Equal(t, []string{address}, etcdtest.Start(t, etcdtest.WithAddress(address)).Endpoints())
}
