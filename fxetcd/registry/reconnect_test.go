package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxetcd/etcdtest"
	"github.com/fxkit/fxkit/fxetcd/registry"
)

// E8: back within two seconds of the cluster's return, also where the client itself would look for it later.
func TestE8_an_instance_is_back_in_time_however_patient_the_client(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		wait fxetcd.ConnectBackoff
		ttl  time.Duration
	}{
		{"fxetcd's defaults", fxetcd.ConnectBackoff{}, 5 * time.Second}, // the wait has grown by then
		{"a minute between attempts", fxetcd.ConnectBackoff{Base: time.Minute, Max: time.Minute}, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := etcdtest.StartProcess(t)
			admin := server.Client(t)
			c, err := fxetcd.NewClient(t.Context(), fxetcd.Config{Endpoints: server.Endpoints(), ConnectBackoff: tt.wait}, fxetcd.WithLogger(zap.NewNop()))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, c.Close()) })
			r := newRegistry(t, c, registry.Config{TTL: tt.ttl})
			g := register(t, r, order("a"))
			server.Kill()
			eventually(t, func() bool { return g.State() == registry.Pending }, "nothing proves that it is listed")
			server.Wipe()
			server.Restart()
			within(t, back, func() bool { return len(raw(t, admin)) == 1 }, "it is back")
			eventually(t, func() bool { return g.State() == registry.Online }, "and says so")
		})
	}
}
