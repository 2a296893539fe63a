package exclusive

import (
	"context"
	"time"
)

// A predecessor is whoever is ahead in the queue, watched for the end of its key.
type predecessor struct {
	key    string // empty: nobody is watched
	cancel context.CancelFunc
	ended  chan error // why the watch has; nil: the key was deleted
}

// follow watches a key of which was known at h.seen that it is there.
func (p *predecessor) follow(h *holder, key string) {
	ctx, cancel := context.WithCancel(h.lease)
	ended, revision := make(chan error, 1), h.seen
	p.key, p.cancel, p.ended = key, cancel, ended
	go func() { ended <- h.x.awaitDelete(ctx, key, revision) }()
}

// wait returns when the key is gone, when ctx ends, and in any case after d. An error is that of the watch, which is over then.
func (p *predecessor) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-p.ended:
		p.cancel()
		p.key = ""
		return err
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// leave ends the watch, if there is one.
func (p *predecessor) leave() {
	if p.key == "" {
		return
	}
	p.cancel()
	<-p.ended
	p.key = ""
}
