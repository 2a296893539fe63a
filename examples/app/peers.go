package main

import (
	"context"
	"net/http"

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

// register lists this process once it is ready. The registry itself takes it off the list before anything else stops.
func register(c *fxlifecycle.Coordinator, r *registry.Registry, api *fxlifecycle.Server) {
	c.OnReady(func(ctx context.Context) error {
		_, err := r.Register(ctx, registry.Instance{Service: service, Address: api.Addr().String()})
		return err
	})
}
