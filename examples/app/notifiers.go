package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxqualifier"
	"github.com/fxkit/fxkit/fxscope"
)

// A Notifier tells somebody of a change.
type Notifier interface {
	Notify(ctx context.Context, record Record) error
}

// byName is how a flag chooses its Notifier.
var byName = fxqualifier.NewAttribute[string]("notifier")

// logNotifier is one for all requests.
type logNotifier struct{ log *zap.Logger }

func newLogNotifier(log *zap.Logger) logNotifier { return logNotifier{log.Named("notify")} }

func (n logNotifier) Notify(_ context.Context, r Record) error {
	n.log.Warn("flag changed", zap.String("action", r.Action), zap.String("key", r.Key),
		zap.Int64("version", r.Version), zap.String("user", string(r.User)))
	return nil
}

// webhookNotifier belongs to a request, whose id it sends along.
type webhookNotifier struct {
	url     string
	request string
}

func newWebhookNotifier(cfg Config, scope *fxscope.Scope) (webhookNotifier, error) {
	if cfg.Webhook == "" {
		return webhookNotifier{}, errors.New("flagd.webhook is not configured")
	}
	return webhookNotifier{cfg.Webhook, scope.ID()}, nil
}

func (n webhookNotifier) Notify(ctx context.Context, record Record) error {
	body, err := json.Marshal(record)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Request-Id", n.request)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("webhook %s: %s", n.url, resp.Status)
	}
	return nil
}
