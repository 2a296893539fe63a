package exclusive

import (
	"context"
	"sync"
)

// calls are the Leads or the Locks that run, so that a stop can end them and wait for them.
type calls struct {
	stopping context.Context
	cancel   context.CancelCauseFunc

	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when, after stop began, none runs
}

func newCalls() *calls {
	c := &calls{idle: make(chan struct{})}
	c.stopping, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// run runs call with a context that also ends, with cause ErrStopped, when stop begins.
func (c *calls) run(ctx context.Context, call func(context.Context) error) error {
	c.mu.Lock()
	if c.stopping.Err() != nil {
		c.mu.Unlock()
		return ErrStopped
	}
	c.running++
	c.mu.Unlock()
	defer c.leave()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.stopping, func() { cancel(ErrStopped) })()
	return call(ctx)
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.running == 0 && c.stopping.Err() != nil {
		close(c.idle)
	}
}

// stop ends all calls, waits for them as long as ctx lives, and returns how many still run.
func (c *calls) stop(ctx context.Context) int {
	c.mu.Lock()
	first := c.stopping.Err() == nil
	c.cancel(ErrStopped)
	if first && c.running == 0 {
		close(c.idle)
	}
	c.mu.Unlock()
	select {
	case <-c.idle:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}
