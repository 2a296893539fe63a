package main

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxscope"
)

// A Principal is who sent the request; "" is nobody in particular.
type Principal string

func newPrincipal(r *http.Request) Principal { return Principal(r.Header.Get("X-User")) }

// A RequestLog is the logger of one request.
type RequestLog struct{ *zap.Logger }

func newRequestLog(log *zap.Logger, scope *fxscope.Scope, user Principal) RequestLog {
	return RequestLog{log.Named("api").With(zap.String("request", scope.ID()), zap.String("user", string(user)))}
}
