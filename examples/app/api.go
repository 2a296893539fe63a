package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxlifecycle"
)

// API is the service's HTTP interface. Its answers, errors too, are JSON.
type API struct {
	store *Store
	audit *Audit
	log   *zap.Logger
}

func newAPI(store *Store, audit *Audit, log *zap.Logger) *API {
	return &API{store, audit, log.Named("api")}
}

// serveAPI listens from start until stop, when it finishes the requests in hand.
func serveAPI(lc fx.Lifecycle, cfg Config, api *API) (*fxlifecycle.Server, error) {
	return fxlifecycle.Serve(lc, &http.Server{
		Addr:              cfg.Address,
		Handler:           api.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          zap.NewStdLog(api.log),
	})
}

func (a *API) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /flags", a.answer(a.list))
	mux.HandleFunc("GET /flags/{key}", a.answer(a.get))
	mux.HandleFunc("PUT /flags/{key}", a.answer(a.put))
	mux.HandleFunc("DELETE /flags/{key}", a.answer(a.delete))
	return mux
}

func (a *API) list(w http.ResponseWriter, r *http.Request) (any, error) {
	flags, revision, err := a.store.List(r.Context(), r.URL.Query().Get("prefix"))
	return struct {
		Flags   []Flag `json:"flags"`
		Version int64  `json:"version"`
	}{flags, revision}, err
}

func (a *API) get(w http.ResponseWriter, r *http.Request) (any, error) {
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
	flag, err := a.store.Put(r.Context(), key, content, ifVersion)
	if err != nil {
		return nil, err
	}
	return flag, a.audit.Record(r.Context(), Record{Action: "put", Key: key, Version: flag.Version, User: r.Header.Get("X-User")})
}

func (a *API) delete(w http.ResponseWriter, r *http.Request) (any, error) {
	key, err := flagKey(r)
	if err != nil {
		return nil, err
	}
	revision, err := a.store.Delete(r.Context(), key)
	if err != nil {
		return nil, err
	}
	return struct {
		Key     string `json:"key"`
		Version int64  `json:"version"`
	}{key, revision}, a.audit.Record(r.Context(), Record{Action: "delete", Key: key, Version: revision, User: r.Header.Get("X-User")})
}

// answer is a handler that writes what respond returns: a value as it is, an error with the status that it means.
func (a *API) answer(respond func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		body, err := respond(w, r)
		if err != nil {
			status = statusOf(err)
			if status >= http.StatusInternalServerError {
				a.log.Warn("request failed", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
			}
			body = failure(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body) // a client that has gone away is no error of ours
	}
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
