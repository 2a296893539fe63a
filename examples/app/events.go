package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/watch"
)

const (
	patience = 10 * time.Second // how long a listener may take to read one event
	farewell = time.Second      // how long it may take once the server stops
)

// events answers with server-sent events: the flags there are, "synced", then each change. Whoever comes back with the id of the last
// event it got misses none and gets none twice. A "reset" says that etcd no longer knows what came after that id: forget what you hold,
// all of it follows. A listener that does not read loses its connection, and can come back with the last id.
func (a *API) events(w http.ResponseWriter, r *http.Request) {
	last := r.Header.Get("Last-Event-ID")
	if err := watch.CheckID(last); err != nil {
		a.respond(w, r, nil, badRequest("Last-Event-ID: %v", err))
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stream := http.NewResponseController(w)
	defer context.AfterFunc(a.streams, func() { // a stop does not wait for those who listen, nor long for those who do not read
		cancel()
		_ = stream.SetWriteDeadline(time.Now().Add(farewell))
	})()

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	if stream.Flush() != nil { // the first event may be a long time coming
		return
	}
	for group, err := range watch.Revisions(ctx, a.store.etcd, folder+r.URL.Query().Get("prefix"), watch.After(last)) {
		if err != nil {
			a.log.Warn("events end", zap.Error(err))
			return
		}
		for i, event := range group {
			data := shown(event)
			if data == nil {
				continue
			}
			_ = stream.SetWriteDeadline(time.Now().Add(patience))
			if ctx.Err() != nil { // the stop's own deadline may just have been replaced
				_ = stream.SetWriteDeadline(time.Now().Add(farewell))
				return
			}
			_, err := fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s\n\n", watch.ID(group, i), strings.ToLower(event.Type.String()), data)
			if err != nil {
				return
			}
		}
		if stream.Flush() != nil {
			return
		}
	}
}

// shown is what the data of an event are: the flag, or of one that is gone its key; always a version. It is nil for a flag that readers
// must no longer see.
func shown(event watch.Event) []byte {
	flag := Flag{Key: strings.TrimPrefix(event.Key, folder), Version: event.Revision}
	var data any = struct {
		Key     string `json:"key,omitempty"`
		Version int64  `json:"version"`
	}{flag.Key, flag.Version}
	if event.Type == watch.Put {
		if json.Unmarshal(event.Value, &flag.Content) != nil || flag.expired() {
			return nil
		}
		data = flag
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil
	}
	return encoded
}
