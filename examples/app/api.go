package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/registry"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/fxscope"
)

// API is the service's HTTP interface. Its answers, errors too, are JSON.
type API struct {
	store    *Store
	registry *registry.Registry
	log      *zap.Logger

	streams    context.Context // ends when the server stops accepting
	endStreams context.CancelFunc
}

func newAPI(store *Store, registry *registry.Registry, log *zap.Logger) *API {
	streams, end := context.WithCancel(context.Background())
	return &API{store, registry, log.Named("api"), streams, end}
}

// serveAPI listens from start until stop, when it finishes the requests in hand.
func serveAPI(lc fx.Lifecycle, cfg Config, api *API, scopes *fxscope.Scopes) (*fxlifecycle.Server, error) {
	server := &http.Server{
		Addr:              cfg.Address,
		Handler:           scopes.Middleware(api.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          zap.NewStdLog(api.log),
	}
	server.RegisterOnShutdown(api.endStreams)
	return fxlifecycle.Serve(lc, server)
}

func (a *API) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /flags", a.answer(a.list))
	mux.HandleFunc("GET /flags/events", a.events)
	mux.HandleFunc("GET /flags/{key}", a.answer(a.get))
	mux.HandleFunc("PUT /flags/{key}", a.answer(a.put))
	mux.HandleFunc("DELETE /flags/{key}", a.answer(a.delete))
	mux.HandleFunc("GET /peers", a.answer(a.peers))
	return mux
}

func (a *API) list(_ http.ResponseWriter, r *http.Request) (any, error) {
	flags, revision, err := a.store.List(r.Context(), r.URL.Query().Get("prefix"))
	return struct {
		Flags   []Flag `json:"flags"`
		Version int64  `json:"version"`
	}{flags, revision}, err
}

func (a *API) get(_ http.ResponseWriter, r *http.Request) (any, error) {
	key, err := flagKey(r)
	if err != nil {
		return nil, err
	}
	return a.store.Get(r.Context(), key)
}

func (a *API) put(w http.ResponseWriter, r *http.Request) (any, error) {
	key, err := flagKey(r)
	if err != nil {
		return nil, err
	}
	content, ifVersion, err := readWrite(w, r)
	if err != nil {
		return nil, err
	}
	flags, err := fxscope.Get[*Flags](r.Context())
	if err != nil {
		return nil, err
	}
	return flags.Put(r.Context(), key, content, ifVersion)
}

func (a *API) delete(_ http.ResponseWriter, r *http.Request) (any, error) {
	key, err := flagKey(r)
	if err != nil {
		return nil, err
	}
	flags, err := fxscope.Get[*Flags](r.Context())
	if err != nil {
		return nil, err
	}
	revision, err := flags.Delete(r.Context(), key)
	return struct {
		Key     string `json:"key"`
		Version int64  `json:"version"`
	}{key, revision}, err
}

// answer is a handler that writes what produce returns.
func (a *API) answer(produce func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := produce(w, r)
		a.respond(w, r, body, err)
	}
}

// respond writes a value as it is, and an error with the status that it means.
func (a *API) respond(w http.ResponseWriter, r *http.Request, body any, err error) {
	status := http.StatusOK
	if err != nil {
		status, body = statusOf(err), failure(err)
	}
	if log, missing := fxscope.Get[RequestLog](r.Context()); missing == nil {
		level := zap.InfoLevel
		if status >= http.StatusInternalServerError {
			level = zap.WarnLevel
		}
		log.Log(level, "answered", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Int("status", status), zap.Error(err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone away is no error of ours
}

// failure is the body of an answer that is an error.
func failure(err error) any {
	body := struct {
		Error   string `json:"error"`
		Version *int64 `json:"version,omitempty"`
	}{Error: err.Error()}
	if conflict := new(conflictError); errors.As(err, &conflict) {
		body.Version = &conflict.Existing
	}
	return body
}

func statusOf(err error) int {
	request, conflict := new(requestError), new(conflictError)
	switch {
	case errors.As(err, &request):
		return request.status
	case errors.As(err, &conflict):
		return http.StatusConflict
	case errors.Is(err, errNotFound):
		return http.StatusNotFound
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	default:
		return http.StatusServiceUnavailable
	}
}
