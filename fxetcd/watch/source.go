package watch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/fxkit/fxkit/internal/backoff"
)

const (
	// requestTimeout bounds each read, since a client may have no server to send it to.
	requestTimeout = 5 * time.Second
	// progressEvery is how often a silent server is asked whether there is nothing to tell. After as many times of silence as
	// silences says, the watch is opened again: the server may be cut off while others are there.
	progressEvery = 3 * time.Second
	silences      = 3
	// catchUpEvery is how often the question is repeated while somebody waits for the answer.
	catchUpEvery = 25 * time.Millisecond
)

// retries is how the watch comes back. Even one that fails at once, each time, costs no more than a few requests per second.
var retries = backoff.Policy{Base: 50 * time.Millisecond, Max: time.Second}

var (
	// errDiverged is that the server's history is not the one that the state comes from.
	errDiverged = errors.New("the server's history is another one: it was wiped or restored")
	// errReopened is that the client has resumed the watch on another connection.
	errReopened = errors.New("the watch was resumed on another connection")
	// errUnconfirmed is that the server's history looks like another one to somebody who cannot tell for sure: run will.
	errUnconfirmed = errors.New("the server does not confirm what is known")
)

// source is the one etcd watch behind all subscriptions of a prefix. See run for its states.
type source struct {
	client *clientv3.Client
	prefix string
	stream *stream
	reader reader
	wake   chan struct{}             // somebody joined
	paging chan struct{}             // held by whoever reads the history
	heard  atomic.Pointer[time.Time] // the server's last answer; a refusal is none
	failed atomic.Pointer[error]     // why there was none since
	refs   int                       // of hub; guarded by its mutex

	// Only run uses these.
	synced   bool // the state continues where a snapshot ended
	diverged bool
	waiting  []barrier

	mu         sync.Mutex
	state      state
	ready      bool // there has been a snapshot
	generation int  // of the server's history
	history    history
	joining    []*subscription
	asking     []*subscription // newcomers for whom the server is asked now
	members    map[*subscription]struct{}
	interrupt  context.CancelFunc
	refused    error
	end        error
}

// barrier is what newcomers wait for. The snapshot they get must hold whatever was written before they came, and the watch that
// it is taken from may be some events behind that.
type barrier struct {
	members  []*subscription
	revision int64
}

func newSource(client *clientv3.Client, prefix string) *source {
	key, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	if prefix == "" {
		key, end = "\x00", "\x00" // etcd's way to say everything
	}
	return &source{
		client:  client,
		prefix:  prefix,
		stream:  newStream(client, key, end),
		reader:  reader{client: client, key: key, end: end},
		wake:    make(chan struct{}, 1),
		paging:  make(chan struct{}, 1),
		members: map[*subscription]struct{}{},
	}
}

func (s *source) newStream() *stream { return newStream(s.client, s.reader.key, s.reader.end) }

// answers asks for no more than a sign of life.
func (s *source) answers() error {
	_, err := s.reader.revision(s.client.Ctx())
	if err != nil {
		s.fail(err)
	}
	return err
}

// run keeps the state up to date until nobody subscribes any more or the client is closed. It goes through these states:
//
//	listing    there is no state, or none that the server can continue: read a snapshot, tell the difference
//	opening    the server makes a watch of what happens since the state's revision
//	verifying  the state is from before the watch: does the server's history contain it?
//	proving    the watch was open before: does it still deliver?
//	streaming  the watch delivers
//	waiting    something failed: come back after a while
//
// The order is what makes a wiped or restored server show, whose revisions mean something else, wherever in between the client happens to meet
// it: the watch that delivers now is the one that was open before the server confirmed the state, so the server that sends its events is the
// one that was asked. A watch that the client has resumed on another connection proves nothing, and is opened again. A state that the server cannot
// confirm, since its history was compacted or is another one, leads by way of waiting to listing.
func (s *source) run() {
	defer func() { s.stream.release() }()
	failures := 0
	for {
		ctx, cancel := s.attempt()
		if released(s) {
			cancel()
			return
		}
		start := time.Now()
		err := s.session(ctx)
		if s.client.Ctx().Err() != nil {
			cancel()
			s.finish()
			return
		}
		if time.Since(start) > 2*retries.Max {
			failures = 0
		}
		failures++
		if ctx.Err() == nil {
			s.fail(err)
			s.tell(err)
			backoff.Wait(ctx, retries.Delay(failures))
		}
		cancel()
	}
}

// attempt is the context of a session and the wait after it. It ends with the client, or when the last subscription leaves.
func (s *source) attempt() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(s.client.Ctx())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupt = cancel
	return ctx, cancel
}

func (s *source) session(ctx context.Context) error {
	s.rejoin()
	if !s.synced {
		if err := s.list(ctx); err != nil {
			return err
		}
	}
	// From the revision itself, not the one after: of a watch that begins in the future the server tells no progress.
	w, err := s.stream.open(s.state.revision, s.answers)
	if err != nil {
		s.stream = s.newStream()
		return s.doubt(err)
	}
	defer w.close()
	s.contact()
	if err = s.verify(ctx); err == nil {
		err = s.follow(ctx, w)
	}
	return s.doubt(err)
}

// rejoin lets those who wait ask again: the revision that they wait for may be one of a server's life that is over, and never come.
func (s *source) rejoin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putBack(s.asking)
	for _, b := range s.waiting {
		s.putBack(b.members)
	}
	s.asking, s.waiting = nil, nil
}

// putBack lets those who have not left meanwhile join again. s.mu is held.
func (s *source) putBack(members []*subscription) {
	for _, member := range members {
		if !member.gone() {
			s.joining = append(s.joining, member)
		}
	}
}

// doubt draws the conclusion from an error: after some of them the watch cannot go on from the state.
func (s *source) doubt(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrCompacted), tooLarge(err): // pages can be smaller than what a watch delivers at once
		s.synced = false
	case errors.Is(err, errDiverged), errors.Is(err, rpctypes.ErrFutureRev):
		s.synced, s.diverged = false, true
	}
	return err
}

// list replaces the state by what the server has now, and admits those who have come before.
func (s *source) list(ctx context.Context) error {
	s.mu.Lock()
	newcomers := s.joining
	s.joining = nil
	s.mu.Unlock()

	entries, revision, err := s.reader.snapshot(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.putBack(newcomers)
		return err
	}
	s.contact()
	// Linearizable reads of one history never go back. The server may have been wiped between an error that says nothing of it, such as
	// a compacted revision, and this read.
	diverged := s.diverged || revision < s.state.revision
	if diverged {
		s.generation++
	}
	changes := s.state.replace(entries, revision, diverged)
	s.history.restart(revision)
	s.synced, s.diverged, s.ready = true, false, true
	// Another history is told of also where nothing differs: revisions mean something else from here on.
	if diverged || len(changes.events) > 1 {
		for member := range s.members {
			member.push(changes)
		}
	} else {
		s.mark()
	}
	s.admit(newcomers)
	s.allow()
	return nil
}

// verify asks whether the server's history at the state's revision is the state.
func (s *source) verify(ctx context.Context) error {
	latest, count, err := s.reader.latest(ctx, s.state.revision)
	if err != nil {
		return err
	}
	s.contact()
	if !s.state.agrees(latest, count) {
		return errDiverged
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allow()
	return nil
}

// follow applies what the watch delivers, until it fails. What comes before the first answer about progress waits for that, unless it is too
// much: after a long absence there is no answer before the server has delivered everything.
func (s *source) follow(ctx context.Context, w *watcher) error {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	question := time.NewTimer(0)
	defer question.Stop()
	s.notify() // somebody may have joined while there was no watch
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, 1)
	var early backlog
	proven, silent := false, 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.stream.signal:
			return errReopened
		case response, ok := <-w.response:
			if err := check(response, ok); err != nil {
				return err
			}
			if w.stream.resumed() {
				return errReopened
			}
			silent = 0
			s.contact()
			early.add(response)
			if proven = proven || response.IsProgressNotify(); proven || early.full() {
				for _, r := range early.responses {
					s.advance(r)
				}
				early = backlog{}
			}
		case <-s.wake:
			s.question(ctx, answers)
		case a := <-answers:
			if a.err != nil {
				return a.err
			}
			s.answered(a.revision)
			question.Reset(0)
		case <-question.C:
			if !proven || len(s.waiting) > 0 {
				w.askProgress()
				question.Reset(catchUpEvery)
			}
		case <-tick.C:
			if silent++; silent > silences {
				return context.DeadlineExceeded
			}
			w.askProgress()
		}
	}
}

// advance applies a response and publishes what it changes.
func (s *source) advance(response clientv3.WatchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.state.apply(response.Events) {
		s.history.add(b)
		for member := range s.members {
			member.push(b)
		}
	}
	if revision := response.Header.GetRevision(); response.IsProgressNotify() && revision > s.state.revision {
		s.state.progress(revision)
		s.mark()
	}
	s.lift()
}

// answer is what the server says about its revision.
type answer struct {
	revision int64
	err      error // a refusal: everything else passes
}

// question asks for the revision that newcomers must see, unless that is under way. Nobody else waits for the answer meanwhile.
func (s *source) question(ctx context.Context, answers chan<- answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asking) > 0 || len(s.joining) == 0 {
		return
	}
	s.asking, s.joining = s.joining, nil
	go func() {
		for failures := 1; ; failures++ {
			revision, err := s.reader.revision(ctx)
			if err == nil || hopeless(err) != nil {
				answers <- answer{revision, err}
				return
			}
			s.fail(err)
			if !backoff.Wait(ctx, retries.Delay(failures)) {
				return
			}
		}
	}()
}

func (s *source) answered(revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contact()
	s.waiting = append(s.waiting, barrier{s.asking, revision})
	s.asking = nil
	s.lift()
	s.notify() // others may have come meanwhile
}

// lift admits those who have what they wait for.
func (s *source) lift() {
	rest := s.waiting[:0]
	for _, b := range s.waiting {
		if b.revision <= s.state.revision {
			s.admit(b.members)
		} else {
			rest = append(rest, b)
		}
	}
	clear(s.waiting[len(rest):])
	s.waiting = rest
}
