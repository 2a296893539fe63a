package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/fxbackground"
)

// A Record says who changed which flag, and when.
type Record struct {
	Time    time.Time `json:"time"`
	User    Principal `json:"user,omitempty"`
	Action  string    `json:"action"`
	Key     string    `json:"key"`
	Version int64     `json:"version"`
}

// Audit keeps a Record of every write in the etcd instance "audit".
type Audit struct{ etcd *clientv3.Client }

func newAudit(etcd *clientv3.Client) *Audit { return &Audit{etcd} }

// Record writes as one of tasks, so that no answer waits for it. Where tasks takes no more, it writes at once: a write that is answered
// with success has its record, in every case.
func (a *Audit) Record(ctx context.Context, tasks *fxbackground.Group, record Record) error {
	write := func(ctx context.Context) error { return a.write(ctx, record) }
	if tasks.Run(ctx, "audit", write, retried(10)...) == nil {
		return nil
	}
	return write(ctx)
}

// write is idempotent: a revision belongs to one write alone.
func (a *Audit) write(ctx context.Context, record Record) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if _, err := a.etcd.Put(ctx, fmt.Sprintf("%020d", record.Version), string(data)); err != nil {
		return fmt.Errorf("audit of %s %q, version %d: %w", record.Action, record.Key, record.Version, err)
	}
	return nil
}
