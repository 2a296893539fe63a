package exclusive

import (
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// section is where the configuration is, inside of that of fxetcd.
const section = "etcd.exclusive"

// Module provides *Exclusive on the application's default etcd client, configured by section etcd.exclusive. At stop every Lead ends,
// and resigns, before anything is destroyed, while Locks stay usable to background tasks that are drained; what is left of those ends
// before the client is closed.
var Module = fx.Module("exclusive", fx.Provide(newManaged))

type params struct {
	fx.In

	Lifecycle fx.Lifecycle
	Client    *clientv3.Client
	Config    *fxconfig.Config `optional:"true"`
	Log       *zap.Logger      `optional:"true"`
}

func newManaged(p params) (*Exclusive, error) {
	var cfg Config
	if p.Config != nil {
		if err := p.Config.Decode(&cfg, section); err != nil {
			return nil, err
		}
	}
	x, err := New(p.Client, cfg, WithLogger(p.Log))
	if err != nil {
		return nil, err
	}
	return fxlifecycle.Manage(p.Lifecycle, x, fxlifecycle.WithHooks(fxlifecycle.Hooks{PreDestroy: x.StopLeading, Destroy: x.Close}))
}
