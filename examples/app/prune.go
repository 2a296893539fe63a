package main

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxetcd/exclusive"
)

const pruneEvery = 30 * time.Second

// prune has one process of all remove expired flags, as long as the application runs.
func prune(tasks *fxbackground.Runner, processes *exclusive.Exclusive, store *Store, log *zap.Logger) error {
	return tasks.Supervise("prune", func(ctx context.Context) error {
		err := processes.Lead(ctx, "prune", func(ctx context.Context, _ exclusive.Term) error {
			return pruneRegularly(ctx, store, log)
		})
		if errors.Is(err, exclusive.ErrStopped) {
			return nil
		}
		return err
	})
}

func pruneRegularly(ctx context.Context, store *Store, log *zap.Logger) error {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			pruned, err := store.Prune(ctx)
			if err != nil && ctx.Err() == nil {
				return err
			}
			if pruned > 0 {
				log.Info("expired flags pruned", zap.Int("flags", pruned))
			}
		}
	}
}
