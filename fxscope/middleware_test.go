package fxscope_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxscope"
)

// handling is a scoped object of the tests below; its Destroy says so and may be held up.
type handling struct {
	r         *http.Request
	destroyed chan struct{}
	hold      chan struct{}
}

func (h *handling) Destroy(context.Context) error {
	if h.hold != nil {
		<-h.hold
	}
	close(h.destroyed)
	return nil
}

type server struct {
	*httptest.Server
	scopes    *fxscope.Scopes
	destroyed chan struct{}
	hold      chan struct{}
}

// serve starts a real server whose every request builds a handling before handler runs.
func serve(t *testing.T, hold chan struct{}, start func(*httptest.Server), handler http.HandlerFunc) *server {
	t.Helper()
	s := &server{destroyed: make(chan struct{}), hold: hold}
	s.scopes = begin(t, fx.Supply(zap.NewNop()), fxscope.Provide(func(r *http.Request) *handling { return &handling{r, s.destroyed, hold} }))
	s.Server = httptest.NewUnstartedServer(s.scopes.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if assert.NoError(t, get[*handling](r.Context())) {
			handler(w, r)
		}
	})))
	s.Config.ErrorLog = zap.NewStdLog(zap.NewNop()) // panics are reported there
	start(s.Server)
	t.Cleanup(s.Close)
	return s
}

func http2(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }

func http1(s *httptest.Server) { s.Start() }

func (s *server) get(t *testing.T, ctx context.Context) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/orders", nil)
	require.NoError(t, err)
	return s.Client().Do(req)
}

func forEachProtocol(t *testing.T, test func(t *testing.T, start func(*httptest.Server), major int)) {
	t.Run("HTTP/1.1", func(t *testing.T) { t.Parallel(); test(t, http1, 1) })
	t.Run("HTTP/2", func(t *testing.T) { t.Parallel(); test(t, http2, 2) })
}

func TestS9_the_response_never_waits_for_End(t *testing.T) {
	t.Parallel()
	forEachProtocol(t, func(t *testing.T, start func(*httptest.Server), major int) {
		hold := make(chan struct{})
		s := serve(t, hold, start, func(w http.ResponseWriter, r *http.Request) {
			h, err := fxscope.Get[*handling](r.Context())
			assert.NoError(t, err)
			assert.Same(t, r, h.r, "the request is a Value of the scope")
			in, err := fxscope.Get[*http.Request](h.r.Context())
			assert.NoError(t, err, "and has the scope in its context")
			assert.Same(t, r, in)
			_, _ = fmt.Fprint(w, "ok")
		})
		res, err := s.get(t, t.Context())
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, errors.Join(err, res.Body.Close()))
		assert.Equal(t, "ok", string(body))
		assert.Equal(t, major, res.ProtoMajor)
		select {
		case <-s.destroyed:
			t.Error("the scope had ended")
		default:
		}
		assert.Equal(t, 1, s.scopes.Live(), "the whole response is here, and the scope still ends")
		close(hold)
		<-s.destroyed
	})
}

func TestS9_a_handler_that_panics_still_ends_its_scope(t *testing.T) {
	t.Parallel()
	forEachProtocol(t, func(t *testing.T, start func(*httptest.Server), _ int) {
		s := serve(t, nil, start, func(http.ResponseWriter, *http.Request) { panic("boom") })
		_, err := s.get(t, t.Context()) //nolint:bodyclose // there is none
		require.Error(t, err)
		<-s.destroyed
	})
}

func TestS9_a_cancelled_request_ends_its_scope(t *testing.T) {
	t.Parallel()
	forEachProtocol(t, func(t *testing.T, start func(*httptest.Server), _ int) {
		ctx, cancel := context.WithCancel(t.Context())
		s := serve(t, nil, start, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		_, err := s.get(t, ctx) //nolint:bodyclose // there is none
		require.ErrorIs(t, err, context.Canceled)
		<-s.destroyed
	})
}

func TestS9_streaming_responses(t *testing.T) {
	t.Parallel()
	forEachProtocol(t, func(t *testing.T, start func(*httptest.Server), _ int) {
		next := make(chan struct{})
		s := serve(t, nil, start, func(w http.ResponseWriter, r *http.Request) {
			flusher, ok := w.(http.Flusher)
			assert.True(t, ok)
			control := http.NewResponseController(w)
			assert.NoError(t, control.SetWriteDeadline(time.Now().Add(time.Minute)))
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "event %d\n", i)
				if i%2 == 0 {
					flusher.Flush()
				} else {
					assert.NoError(t, control.Flush())
				}
				<-next
				assert.NoError(t, get[*handling](r.Context()), "the scope lives while the response does")
			}
		})
		res, err := s.get(t, t.Context())
		require.NoError(t, err)
		lines := bufio.NewScanner(res.Body)
		for i := range 3 {
			require.True(t, lines.Scan())
			assert.Equal(t, fmt.Sprintf("event %d", i), lines.Text(), "it arrives while the handler still runs")
			next <- struct{}{}
		}
		assert.NoError(t, res.Body.Close())
		<-s.destroyed
	})
}

func TestS9_Hijack(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, http1, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		assert.NoError(t, errors.Join(rw.Flush(), conn.Close()))
	})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\nhello\n")
	require.NoError(t, err)
	reply, err := io.ReadAll(conn)
	require.NoError(t, errors.Join(err, conn.Close()))
	assert.Equal(t, "echo hello\n", string(reply))
	<-s.destroyed
}

func TestS10_Middleware_answers_503_after_stop_began(t *testing.T) {
	t.Parallel()
	scopes, app := build(t, fxscope.Provide(func(*http.Request) *handling { panic("never") }))
	require.NoError(t, app.Start(t.Context()))
	require.NoError(t, app.Stop(t.Context()))
	w := httptest.NewRecorder()
	scopes.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("never") })).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "close", w.Header().Get("Connection"))
}
