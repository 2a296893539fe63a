package registry

import (
	"context"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/fxkit/fxkit/internal/backoff"
)

// reconnects is how long a client that cannot reach any server may wait between attempts, once something was registered.
var reconnects = backoff.Policy{Base: time.Second, Max: time.Second}

// reconnect has the client look for a server sooner than its own connectBackoff says, for that may be longer than the time in which an instance has
// to be back. It costs nothing while there is a connection.
func (r *Registry) reconnect(ctx context.Context) {
	connection := r.client.ActiveConnection()
	for {
		if state := connection.GetState(); state != connectivity.TransientFailure {
			if !connection.WaitForStateChange(ctx, state) {
				return
			}
			continue
		}
		if !backoff.Wait(ctx, reconnects.Delay(1)) {
			return
		}
		connection.ResetConnectBackoff()
	}
}
