package fxbackground_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxbackground"
)

// A plan is a random program: who submits what, when, and who drains when.
type plan struct {
	cfg     fxbackground.Config
	groups  []groupPlan
	tasks   []taskPlan
	drainAt time.Duration
	context time.Duration // of the Runner's drain; 0: without a deadline
}

type groupPlan struct {
	limit, queue int
	timeout      time.Duration
	drainAt      time.Duration // 0: only with the Runner
}

type taskPlan struct {
	at       time.Duration // after its parent has started, or the program
	group    int           // 0: the Runner's own
	takes    time.Duration
	listens  bool
	ends     int // 0: well, 1: with an error, 2: with a panic
	children []taskPlan
}

func drawPlan(t *rapid.T) plan {
	ms := func(label string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, label)) * time.Millisecond
	}
	p := plan{
		cfg: fxbackground.Config{
			Timeout:     ms("timeout", 40),
			Grace:       ms("grace", 10),
			Concurrency: rapid.IntRange(0, 3).Draw(t, "concurrency"),
			Queue:       rapid.IntRange(0, 6).Draw(t, "queue"),
		},
		drainAt: ms("drainAt", 60),
		context: ms("context", 60),
	}
	for range rapid.IntRange(0, 3).Draw(t, "groups") {
		p.groups = append(p.groups, groupPlan{
			limit: rapid.IntRange(0, 2).Draw(t, "limit"), queue: rapid.IntRange(0, 3).Draw(t, "groupQueue"),
			timeout: ms("groupTimeout", 30), drainAt: ms("groupDrainAt", 60),
		})
	}
	var task func(depth int) taskPlan
	task = func(depth int) taskPlan {
		tp := taskPlan{
			at: ms("at", 40), group: rapid.IntRange(0, len(p.groups)).Draw(t, "group"),
			takes: ms("takes", 30), listens: rapid.Bool().Draw(t, "listens"), ends: rapid.IntRange(0, 2).Draw(t, "ends"),
		}
		if depth > 0 {
			for range rapid.IntRange(0, 2).Draw(t, "children") {
				tp.children = append(tp.children, task(depth-1))
			}
		}
		return tp
	}
	for range rapid.IntRange(1, 8).Draw(t, "tasks") {
		p.tasks = append(p.tasks, task(2))
	}
	return p
}

// A trial runs a plan and sees what becomes of each task.
type trial struct {
	groups []drainee // 0: the Runner
	limits []int

	mu       sync.Mutex
	names    int
	accepted map[string]int // the group of each accepted task
	started  map[string]bool
	ended    map[string]time.Time
	reported map[string]bool // by a drain, as left behind
	running  []int
	drains   []drainResult
	problems []error
}

func (tr *trial) fail(format string, args ...any) {
	tr.problems = append(tr.problems, fmt.Errorf(format, args...))
}

func (tr *trial) submit(ctx context.Context, tp taskPlan) {
	tr.mu.Lock()
	tr.names++
	name := fmt.Sprint(tr.names)
	tr.mu.Unlock()
	// The task may begin before Run returns, so it is accepted until Run says otherwise.
	err := tr.groups[tp.group].Run(ctx, name, func(ctx context.Context) error { return tr.perform(ctx, name, tp) })
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch {
	case err == nil:
		tr.accepted[name] = tp.group
	case tr.started[name]:
		tr.fail("%s ran although it was refused: %w", name, err)
	case !errors.Is(err, fxbackground.ErrDraining) && !errors.Is(err, fxbackground.ErrQueueFull):
		tr.fail("%s was refused with %w", name, err)
	}
}

func (tr *trial) perform(ctx context.Context, name string, tp taskPlan) error {
	tr.mu.Lock()
	if tr.started[name] {
		tr.fail("%s ran twice", name)
	}
	tr.started[name] = true
	all := 0
	tr.running[tp.group]++
	for i, n := range tr.running {
		all += n
		if i > 0 && tr.limits[i] > 0 && n > tr.limits[i] {
			tr.fail("%d tasks of group %d run", n, i)
		}
	}
	if tr.limits[0] > 0 && all > tr.limits[0] {
		tr.fail("%d tasks run", all)
	}
	tr.mu.Unlock()

	end := time.After(tp.takes)
	for _, child := range tp.children {
		time.Sleep(min(child.at, tp.takes))
		tr.submit(ctx, child)
	}
	if tp.listens {
		select {
		case <-end:
		case <-ctx.Done():
		}
	} else {
		<-end
	}
	tr.mu.Lock()
	tr.ended[name] = time.Now()
	tr.running[tp.group]--
	tr.mu.Unlock()
	if tp.ends == 2 {
		panic(name)
	}
	return []error{nil, errBoom}[tp.ends]
}

// A drainResult is what a drain of a group (0: the Runner) has returned.
type drainResult struct {
	group      int
	took, most time.Duration
	at         time.Time
	err        error
}

// drain drains a group, within ctx if that has a deadline, and keeps the result for check.
func (tr *trial) drain(ctx context.Context, group int, most time.Duration) {
	began := time.Now()
	err := tr.groups[group].Drain(ctx)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.drains = append(tr.drains, drainResult{group, time.Since(began), most, time.Now(), err})
}

// check compares what a drain named with what was left behind at the time. What ended in the same instant may be either.
func (tr *trial) check(d drainResult) {
	if d.took > d.most {
		tr.fail("the drain of %d took %v of %v", d.group, d.took, d.most)
	}
	named := make(map[string]bool)
	var drain *fxbackground.DrainError
	if errors.As(d.err, &drain) {
		for _, info := range drain.Abandoned {
			named[info.Name] = true
		}
	}
	for name, group := range tr.accepted {
		if d.group != 0 && d.group != group {
			continue
		}
		ended, hasEnded := tr.ended[name]
		switch {
		case named[name] && hasEnded && ended.Before(d.at):
			tr.fail("the drain of %d names %s, which had ended", d.group, name)
		case named[name] || hasEnded && !ended.After(d.at):
		case d.group == 0 && !tr.started[name] && tr.reported[name]:
			// A Group's drain has dropped it, and said so.
		default:
			tr.fail("the drain of %d does not name %s", d.group, name)
		}
	}
	for name := range named {
		if _, ok := tr.accepted[name]; !ok {
			tr.fail("the drain of %d names %s, which was refused", d.group, name)
		}
		tr.reported[name] = true
	}
}

// B1 to B6, in any combination.
func TestB3_properties_of_any_program(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		var problems []error
		synctest.Test(t, func(t *testing.T) { problems = p.run(t) })
		if len(problems) > 0 {
			rt.Fatal(errors.Join(problems...))
		}
	})
}

func (p plan) run(t *testing.T) []error {
	r, _ := newRunner(t, p.cfg)
	tr := &trial{
		groups: []drainee{r}, limits: []int{p.cfg.Concurrency},
		accepted: map[string]int{}, started: map[string]bool{}, ended: map[string]time.Time{}, reported: map[string]bool{},
		running: make([]int, len(p.groups)+1),
	}
	for i, gp := range p.groups {
		g := r.Group(fmt.Sprint(i+1), fxbackground.WithConcurrency(gp.limit), fxbackground.WithQueue(gp.queue), fxbackground.WithDrainTimeout(gp.timeout))
		tr.groups, tr.limits = append(tr.groups, g), append(tr.limits, gp.limit)
	}
	var wg sync.WaitGroup
	for i, gp := range p.groups {
		if gp.drainAt == 0 {
			continue
		}
		wg.Go(func() {
			time.Sleep(gp.drainAt)
			tr.drain(context.Background(), i+1, gp.timeout+p.cfg.Grace)
		})
	}
	for _, tp := range p.tasks {
		wg.Go(func() {
			time.Sleep(tp.at)
			tr.submit(context.Background(), tp)
		})
	}
	wg.Go(func() {
		time.Sleep(p.drainAt)
		ctx, most := context.Background(), p.cfg.Timeout+p.cfg.Grace
		if p.context > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, p.context)
			defer cancel()
			most = min(most, p.context)
		}
		tr.drain(ctx, 0, most)
	})
	wg.Wait()
	time.Sleep(time.Second)
	synctest.Wait()

	tr.mu.Lock()
	defer tr.mu.Unlock()
	// The Runner's last: it need not name what its Groups' have.
	slices.SortFunc(tr.drains, func(a, b drainResult) int { return b.group - a.group })
	for _, d := range tr.drains {
		tr.check(d)
	}
	s := r.Stats()
	if int(s.Submitted) != len(tr.accepted) || int(s.Submitted+s.Rejected) != tr.names {
		tr.fail("%d tasks, %d accepted: %+v", tr.names, len(tr.accepted), s)
	}
	if int(s.Succeeded+s.Failed+s.Panicked) != len(tr.ended) || len(tr.started) != len(tr.ended) || s.Running+s.Queued != 0 {
		tr.fail("%d tasks have started and %d ended: %+v", len(tr.started), len(tr.ended), s)
	}
	var sum fxbackground.Stats
	for _, g := range tr.groups[1:] {
		sum.Submitted += g.Stats().Submitted
		sum.Abandoned += g.Stats().Abandoned
	}
	if sum.Submitted > s.Submitted || sum.Abandoned > s.Abandoned {
		tr.fail("the groups' counts are not among the Runner's: %+v, %+v", sum, s)
	}
	return tr.problems
}
