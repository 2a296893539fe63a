package watch

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/fxkit/fxkit/internal/outgoing"
)

// streamKey is the metadata by which a watch gets a gRPC stream of its own: the client shares one among watches whose metadata are
// equal. On a shared stream a new watch fails for as long as the others live once the stream's token has expired, and
// an answer about progress says nothing while any other watch is behind.
const streamKey = "fxkit-watch"

const (
	// openTimeout is how long a stream may take to open before the server is asked in another way whether it is there.
	openTimeout = 5 * time.Second
	// progressTimeout is how long the client may take to send a request on a stream; while it reconnects it sends none.
	progressTimeout = 250 * time.Millisecond
)

var (
	errStreamEnded = errors.New("the server ended the watch")
	errUnanswered  = errors.New("a server that answers reads opens no watch")
)

// stream opens etcd watches one after the other, each on the same gRPC stream of its own.
//
// It counts how often the client has opened that gRPC stream. The client resumes a watch by itself after it has lost the connection, and says nothing. But
// the server that it finds then may be one that was wiped or restored, whose revisions have another meaning: everything must be checked
// again. What shows is that gRPC asks the stream's context for the metadata to send whenever it opens a stream. All contexts of a stream count
// together, since a watch may take over what the client has opened for the one before.
//
// For the same reason a stream may be left over: one that the client was about to open when its watch ended, or that a request for progress made it
// open, has no watch, and stays until the client is closed. The next watch takes it over; after the last one, release does.
type stream struct {
	client   *clientv3.Client
	id       string // no other stream has it, so that none gets what another has left over
	key, end string
	signal   chan struct{} // after each opening

	mu       sync.Mutex
	openings int  // since the last watch was made
	released bool // whatever the client opens from now on is left over
}

func newStream(client *clientv3.Client, key, end string) *stream {
	return &stream{client: client, id: rand.Text(), key: key, end: end, signal: make(chan struct{}, 1)}
}

// watcher is one etcd watch.
type watcher struct {
	stream   *stream
	ctx      context.Context
	cancel   context.CancelFunc
	response clientv3.WatchChan
}

// open starts a watch of what happens at revision and after. It blocks until the server has made the watch, for as
// long as the client lives: a stream that the client is about to open cannot be given up, only left behind. That happens when
// answers finds a server that does what this one does not, which may be cut off. After an error the stream is released.
func (s *stream) open(revision int64, answers func() error) (*watcher, error) {
	type result struct {
		watcher *watcher
		err     error
	}
	opened := make(chan result, 1)
	go func() {
		w, err := s.watch(revision)
		opened <- result{w, err}
	}()
	for {
		select {
		case r := <-opened:
			if r.err != nil {
				s.release()
			}
			return r.watcher, r.err
		case <-time.After(openTimeout):
			if answers() != nil {
				continue
			}
			go func() {
				if r := <-opened; r.err == nil {
					r.watcher.close()
				}
				s.release()
			}()
			return nil, errUnanswered
		}
	}
}

func (s *stream) watch(revision int64) (*watcher, error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(s.client.Ctx()), streamKey, s.id))
	w := &watcher{stream: s, ctx: ctx, cancel: cancel}
	w.response = s.client.Watch(newSpy(ctx, s, 0), s.key, clientv3.WithRange(s.end), clientv3.WithRev(revision),
		clientv3.WithCreatedNotify(), clientv3.WithFragment())
	created, ok := <-w.response
	s.reset()
	if err := check(created, ok); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// check is the error in a response.
func check(response clientv3.WatchResponse, ok bool) error {
	if !ok {
		return errStreamEnded
	}
	return response.Err()
}

// askProgress asks the server up to which revision it has delivered everything. The answer is a response without events.
// There is none as long as the server has more to deliver.
func (w *watcher) askProgress() {
	ctx, cancel := context.WithTimeout(w.ctx, progressTimeout)
	defer cancel()
	// The client looks at the metadata once to find the stream. If it opens one after all, that is another look.
	_ = w.stream.client.RequestProgress(newSpy(ctx, w.stream, 1)) // if it fails, the answer fails to come
}

func (w *watcher) close() {
	w.cancel()
	for range w.response { //nolint:revive // until the client has let go of it
	}
}

// release leaves nothing of the stream in the client, neither now nor when the client opens it again later.
func (s *stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = true
	s.sweep()
}

// sweep takes over what is left over, and ends it. s.mu is held.
func (s *stream) sweep() {
	if !s.released || s.openings == 0 {
		return
	}
	s.released = false // until that is done
	go func() {
		if w, err := s.watch(0); err == nil { // from now on
			w.close()
		}
		s.release()
	}()
}

func (s *stream) opening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.openings++
	select {
	case s.signal <- struct{}{}:
	default:
	}
	s.sweep()
}

// reset forgets what was opened up to now.
func (s *stream) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.openings = 0
	select {
	case <-s.signal:
	default:
	}
}

// resumed tells whether the client has opened the stream again since the watch was made. It is true before anything that arrives then does.
func (s *stream) resumed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openings > 0
}

// spy is a context for the client that tells the stream of looks at the metadata, without so many first ones, which are not gRPC's.
type spy struct {
	context.Context
	stream *stream
	key    any

	mu      sync.Mutex
	without int
}

func newSpy(ctx context.Context, s *stream, without int) *spy {
	return &spy{Context: ctx, stream: s, key: outgoing.Key(), without: without}
}

func (s *spy) Value(key any) any {
	if key == s.key && !s.excused() {
		s.stream.opening()
	}
	return s.Context.Value(key)
}

func (s *spy) excused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.without--
	return s.without >= 0
}
