package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxbackground"
)

const pruneEvery = 30 * time.Second

// prune removes expired flags, as long as the application runs.
func prune(tasks *fxbackground.Runner, store *Store, log *zap.Logger) error {
	return tasks.Supervise("prune", func(ctx context.Context) error {
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
	})
}
