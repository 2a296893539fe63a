package watch

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/fxkit/fxkit/internal/outgoing"
)

// streamKey is the metadata by which a watch gets a gRPC stream of its own: the client shares one among watches whose metadata are
// equal. On a shared stream a new watch fails for as long as the others live once the stream's token has expired, and
// an answer about progress says nothing while any other watch is behind.
const streamKey = "fxkit-watch-bin"

// progressTimeout is how long the client may take to send a request on a stream; while it reconnects it sends none.
const progressTimeout = 250 * time.Millisecond

var errStreamEnded = errors.New("the server ended the watch")

// stream opens etcd watches one after the other, each on the same gRPC stream of its own.
type stream struct {
	client   *clientv3.Client
	id       string
	key, end string
	openings openings

	// A request for progress that meets the end of a stream makes the client open another, which has no watch and stays until
	// the client is closed. The next watch takes it over; after the last one, release does.
	orphaned bool
}

func newStream(client *clientv3.Client, id, key, end string) *stream {
	return &stream{client: client, id: id, key: key, end: end, openings: openings{signal: make(chan struct{}, 1)}}
}

// watcher is one etcd watch.
type watcher struct {
	stream   *stream
	ctx      context.Context
	cancel   context.CancelFunc
	response clientv3.WatchChan
	asked    bool // for progress
	ended    bool // by the server
}

// open starts a watch of what happens at revision and after. It blocks until the server has made the watch, for as
// long as the client lives: a stream that the client is about to open cannot be given up, only left behind.
func (s *stream) open(revision int64) (*watcher, error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(s.client.Ctx()), streamKey, s.id))
	w := &watcher{stream: s, ctx: ctx, cancel: cancel}
	w.response = s.client.Watch(s.openings.spy(ctx, 0), s.key, clientv3.WithRange(s.end), clientv3.WithRev(revision),
		clientv3.WithCreatedNotify(), clientv3.WithFragment())
	s.orphaned = false
	created, ok := <-w.response
	if err := w.check(created, ok); err != nil {
		w.close()
		return nil, err
	}
	s.openings.reset()
	return w, nil
}

// check is the error in a response.
func (w *watcher) check(response clientv3.WatchResponse, ok bool) error {
	if !ok {
		w.ended = true
		return errStreamEnded
	}
	err := response.Err()
	w.ended = w.ended || err != nil
	return err
}

// askProgress asks the server up to which revision it has delivered everything. The answer is a response without events.
// There is none as long as the server has more to deliver.
func (w *watcher) askProgress() {
	ctx, cancel := context.WithTimeout(w.ctx, progressTimeout)
	defer cancel()
	w.asked = true
	// The client looks at the metadata once to find the stream. If it opens one after all, that is another look.
	_ = w.stream.client.RequestProgress(w.stream.openings.spy(ctx, 1)) // if it fails, the answer fails to come
}

func (w *watcher) close() {
	w.cancel()
	for range w.response { //nolint:revive // until the client has let go of it
	}
	w.stream.orphaned = w.ended && w.asked
}

// release leaves nothing of the stream in the client.
func (s *stream) release() {
	if s.orphaned && s.client.Ctx().Err() == nil {
		if w, err := s.open(0); err == nil { // from now on
			w.close()
		}
	}
}

// openings counts the gRPC streams that the client has opened for a stream.
//
// The client resumes a watch by itself after it has lost the connection, and says nothing. But the server that it finds then may be one
// that was wiped or restored, whose revisions have another meaning: everything must be checked again. What
// shows is that gRPC asks the stream's context for the metadata to send whenever it opens a stream. All contexts of a stream count together,
// since a watch may take over what the client has opened for the one before.
type openings struct {
	count  atomic.Int64
	seen   int64
	signal chan struct{}
}

// spy is a context for the client, without so many first looks at the metadata, which are not gRPC's.
func (o *openings) spy(ctx context.Context, without int64) *spy {
	s := &spy{Context: ctx, openings: o, key: outgoing.Key()}
	s.without.Store(without)
	return s
}

// reset forgets what was opened up to now.
func (o *openings) reset() {
	select {
	case <-o.signal:
	default:
	}
	o.seen = o.count.Load()
}

// any tells whether a stream was opened since reset. It is true before anything that the stream delivers arrives.
func (o *openings) any() bool { return o.count.Load() != o.seen }

type spy struct {
	context.Context
	openings *openings
	key      any
	without  atomic.Int64
}

func (s *spy) Value(key any) any {
	if key == s.key && s.without.Add(-1) < 0 {
		s.openings.count.Add(1)
		select {
		case s.openings.signal <- struct{}{}:
		default:
		}
	}
	return s.Context.Value(key)
}
