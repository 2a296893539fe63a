package main

import (
	"context"
	"net/http"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxetcd/registry"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// service is this service's name in the registry.
const service = "flagd"

// peers are the processes that serve flags, this one included.
func (a *API) peers(_ http.ResponseWriter, r *http.Request) (any, error) {
	instances, err := a.registry.Instances(r.Context(), service)
	if err != nil {
		return nil, err
	}
	type peer struct {
		ID      string `json:"id"`
		Address string `json:"address"`
	}
	found := make([]peer, 0, len(instances))
	for _, i := range instances {
		found = append(found, peer{i.ID, i.Address})
	}
	return struct {
		Peers []peer  `json:"peers"`
		Stale float64 `json:"staleSeconds"` // for how long etcd has not confirmed the list
	}{found, a.registry.Stale(service).Seconds()}, nil
}

// presence is this process in the registry: from when it is ready until it begins to stop. It needs all that serves, so that its
// PreDestroy comes before theirs.
type presence struct {
	registry *registry.Registry
}

func newPresence(lc fx.Lifecycle, c *fxlifecycle.Coordinator, r *registry.Registry, api *fxlifecycle.Server) (*presence, error) {
	c.OnReady(func(ctx context.Context) error {
		_, err := r.Register(ctx, registry.Instance{Service: service, Address: api.Addr().String()})
		return err
	})
	return fxlifecycle.Manage(lc, &presence{r})
}

// PreDestroy takes this process off the list, so that nobody new comes while it finishes what it has in hand.
func (p *presence) PreDestroy(ctx context.Context) error { return p.registry.Leave(ctx) }
