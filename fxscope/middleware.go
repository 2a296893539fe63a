package fxscope

import (
	"net/http"
	"reflect"
)

// Middleware gives every request a scope. Its *http.Request is a Value of the scope, and has the scope in its context.
//
// The scope ends when next has returned, and the response does not wait for it: what End would return is logged. It also ends
// if next panics. The ResponseWriter is handed on as it is. After the application's stop began the answer is 503.
func (s *Scopes) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sc := s.begin(r.Context())
		r = r.WithContext(&sc.root)
		sc.slots[s.plan.request].fill(reflect.ValueOf(r))
		s.add(sc)
		if sc.Err() != nil {
			w.Header().Set("Connection", "close")
			http.Error(w, "the server is stopping", http.StatusServiceUnavailable)
			return
		}
		defer sc.Release()
		next.ServeHTTP(w, r)
	})
}
