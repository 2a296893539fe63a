package watch

import (
	"context"
	"errors"
	"maps"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/fxkit/fxkit/internal/backoff"
)

// fetchTimeout bounds one read of the past. What was read by then counts.
const fetchTimeout = 10 * time.Second

// gap is a part of the history between where a consumer resumes and where its queue begins. The consumer reads it in pages, as it goes.
type gap struct {
	after, until int64
	seen         int // events of the first revision that the consumer has
	generation   int // of the server's history, when the queue began
	ready        []*batch
	complete     bool // nothing follows what is ready
	failures     int
}

// fill is the next batch of a gap. It returns nothing when the gap is closed, or was replaced by a snapshot, since the server no
// longer has what happened there.
func (s *source) fill(ctx context.Context, member *subscription, g *gap) (*batch, error) {
	for {
		if len(g.ready) > 0 {
			b := g.ready[0].without(g.seen)
			g.ready, g.after, g.seen = g.ready[1:], b.revision, 0
			if len(b.events) == 0 {
				continue
			}
			return b, nil
		}
		if g.complete {
			member.closeGap()
			return nil, nil
		}
		err := s.turn(ctx, g)
		switch {
		case errors.Is(err, rpctypes.ErrCompacted), errors.Is(err, errDiverged), tooLarge(err):
			s.mu.Lock()
			member.restart(s.state.resetTo(g.after))
			s.mu.Unlock()
			return nil, nil
		case ctx.Err() != nil || s.client.Ctx().Err() != nil:
			return nil, nil
		case err == nil:
			g.failures = 0
			member.allow()
		case hopeless(err) != nil:
			g.failures++
			backoff.Wait(ctx, retries.Delay(g.failures))
			member.report(s.explain(hopeless(err)))
			return nil, nil
		default:
			g.failures++
			backoff.Wait(ctx, retries.Delay(g.failures))
		}
	}
}

// turn reads a page. Those who resume wait for each other, so that all but the first find in the history what they need.
func (s *source) turn(ctx context.Context, g *gap) error {
	select {
	case s.paging <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if known, err := s.recall(g); known || err != nil {
		<-s.paging
		return err
	}
	type page struct {
		batches  []*batch
		complete bool
		err      error
	}
	fetched := make(chan page, 1)
	go func() { // since a watch that is being opened cannot be given up
		defer func() { <-s.paging }()
		batches, complete, err := s.fetch(ctx, g.after, g.until, g.generation)
		fetched <- page{batches, complete, err}
	}()
	select {
	case p := <-fetched:
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.err == nil && s.generation != g.generation {
			return errDiverged
		}
		g.ready, g.complete = p.batches, p.complete
		if p.err == nil && p.complete {
			s.history.prepend(p.batches, g.after, g.until)
		}
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// recall fills the gap from the history in memory, if that reaches back so far.
func (s *source) recall(g *gap) (known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation != g.generation {
		return false, errDiverged
	}
	if g.after < s.history.floor {
		return false, nil
	}
	g.ready, g.complete = s.history.since(g.after, g.until), true
	return true, nil
}

// fetch reads what happened after a revision, up to and including another, by a watch of its own. If that is much, it reads only a part.
func (s *source) fetch(ctx context.Context, after, until int64, generation int) (batches []*batch, complete bool, err error) {
	stream := s.newStream()
	w, err := stream.open(after+1, s.answers)
	if err != nil {
		return nil, false, err
	}
	defer stream.release()
	defer w.close()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if err := s.confirm(ctx, generation); err != nil {
		return nil, false, err
	}
	question := time.NewTicker(catchUpEvery)
	defer question.Stop()
	past := state{entries: map[string]entry{}, revision: after}
	events, size := 0, 0
	for events < maxEvents && size < maxBytes {
		select {
		case <-ctx.Done():
			return batches, false, nil
		case <-question.C:
			w.askProgress()
		case <-stream.signal:
			return nil, false, errReopened
		case response, ok := <-w.response:
			if err := check(response, ok); err != nil {
				return nil, false, err
			}
			if stream.resumed() {
				return nil, false, errReopened
			}
			for _, b := range past.apply(response.Events) {
				if b.revision > until {
					return batches, true, nil
				}
				batches = append(batches, b)
				events += len(b.events)
				size += b.size
			}
			if past.revision >= until || response.IsProgressNotify() && response.Header.GetRevision() >= until {
				return batches, true, nil
			}
		}
	}
	return batches, false, nil
}

// confirm asks whether the server's history is that of the state still. A watch of the past may meet a wiped or restored server before run
// does; opened before this question, and not resumed since, it tells what happened in the history that the answer is from.
func (s *source) confirm(ctx context.Context, generation int) error {
	s.mu.Lock()
	known := state{entries: maps.Clone(s.state.entries), revision: s.state.revision}
	changed := s.generation != generation
	s.mu.Unlock()
	if changed {
		return errDiverged
	}
	latest, count, err := s.reader.latest(ctx, known.revision)
	if err == nil && !known.agrees(latest, count) {
		err = errUnconfirmed
	}
	return err
}
