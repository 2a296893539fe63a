package fxlifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxlifecycle"
)

// A node is a constructor in a random application: an object that is managed, one that appends a hook of its own, or
// one with an OnStop annotation.
type node struct {
	name string
	kind string // "managed", "raw", "annotated"
	deps []int
	fail string // the hook that fails, if any
	way  string // in which it does
	how  func(context.Context) error
}

var hooksOfKind = map[string][]string{
	"managed":   {"PostInject", "Init", "PreDestroy", "Destroy"},
	"raw":       {"OnStart", "OnStop"},
	"annotated": {"OnStop"},
}

type graph struct {
	steps
	nodes []node
	parts []part // in the order in which they are given to fx.New
}

// slow is a way to go wrong that is none.
const slow = "is slow"

// A part is an option: the constructor of a node, an Invoke that asks for it, or for node -1 the coordinator.
type part struct {
	node             int
	invoke, inModule bool
}

func (g *graph) hook(n node, hook string) func(context.Context) error {
	return func(ctx context.Context) error {
		g.add(n.name + "." + hook)
		if n.fail == hook {
			return n.how(ctx)
		}
		return nil
	}
}

func (g *graph) build(lc fx.Lifecycle, n node) (*node, error) {
	g.add(n.name + ".new")
	switch n.kind {
	case "raw":
		lc.Append(fx.Hook{OnStart: g.hook(n, "OnStart"), OnStop: g.hook(n, "OnStop")})
	case "managed":
		return fxlifecycle.Manage(lc, &n, fxlifecycle.WithName(n.name), fxlifecycle.WithHooks(fxlifecycle.Hooks{
			PostInject: g.hook(n, "PostInject"), Init: g.hook(n, "Init"), PreDestroy: g.hook(n, "PreDestroy"), Destroy: g.hook(n, "Destroy"),
		}))
	}
	return &n, nil
}

// provide makes the node available by its name; its dependencies are asked for by theirs.
func (g *graph) provide(n node) fx.Option {
	tags := []string{""}
	for _, d := range n.deps {
		tags = append(tags, fmt.Sprintf("name:%q", g.nodes[d].name))
	}
	var constructor any
	switch len(n.deps) {
	case 0:
		constructor = func(lc fx.Lifecycle) (*node, error) { return g.build(lc, n) }
	case 1:
		constructor = func(lc fx.Lifecycle, _ *node) (*node, error) { return g.build(lc, n) }
	default:
		constructor = func(lc fx.Lifecycle, _, _ *node) (*node, error) { return g.build(lc, n) }
	}
	annotations := []fx.Annotation{fx.ParamTags(tags...), fx.ResultTags(fmt.Sprintf("name:%q", n.name))}
	if n.kind == "annotated" {
		annotations = append(annotations, fx.OnStop(g.hook(n, "OnStop")))
	}
	return fx.Provide(fx.Annotate(constructor, annotations...))
}

func (g *graph) invoke(n node) fx.Option {
	return fx.Invoke(fx.Annotate(func(*node) {}, fx.ParamTags(fmt.Sprintf("name:%q", n.name))))
}

// drawGraph draws an application in which one node of so many has a hook that goes wrong in one of some ways.
func drawGraph(t *rapid.T, one int, ways map[string]func(context.Context) error) *graph {
	g := &graph{}
	names := slices.Sorted(maps.Keys(ways))
	var parts []part
	for i := range rapid.IntRange(1, 10).Draw(t, "nodes") {
		n := node{name: fmt.Sprintf("n%d", i), kind: rapid.SampledFrom([]string{"managed", "managed", "raw", "annotated"}).Draw(t, "kind")}
		if i > 0 {
			n.deps = rapid.SliceOfNDistinct(rapid.IntRange(0, i-1), 0, min(i, 2), rapid.ID[int]).Draw(t, "deps")
		}
		if rapid.IntRange(1, one).Draw(t, "fails") == 1 {
			n.fail = rapid.SampledFrom(hooksOfKind[n.kind]).Draw(t, "hook")
			n.way = rapid.SampledFrom(names).Draw(t, "how")
			n.how = ways[n.way]
		}
		g.nodes = append(g.nodes, n)
		parts = append(parts, part{node: i, inModule: rapid.Bool().Draw(t, "in a module")})
		if rapid.Bool().Draw(t, "invoked") { // some nodes nobody asks for
			parts = append(parts, part{node: i, invoke: true, inModule: rapid.Bool().Draw(t, "in a module")})
		}
	}
	g.parts = rapid.Permutation(append(parts, part{node: -1})).Draw(t, "order")
	return g
}

// options are the application, in the order drawn.
func (g *graph) options() fx.Option {
	var options []fx.Option
	for i, p := range g.parts {
		var o fx.Option
		switch {
		case p.node < 0:
			o = fxlifecycle.Coordinate()
		case p.invoke:
			o = g.invoke(g.nodes[p.node])
		default:
			o = g.provide(g.nodes[p.node])
		}
		if p.inModule {
			o = fx.Module(fmt.Sprintf("m%d", i), o)
		}
		options = append(options, o)
	}
	return fx.Options(append(options, fx.NopLogger, fx.Supply(zap.NewNop()))...)
}

func TestL5_in_any_application_nothing_closes_before_everything_is_drained(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t, 10, failures)
		app := fx.New(g.options())
		if app.Err() == nil && app.Start(context.Background()) == nil {
			_ = app.Stop(context.Background())
		}
		require.NoError(t, g.check())
	})
}

// A life is how an application is started and stopped.
type life struct {
	start, stop struct{ deadline, cancel time.Duration } // zero is never
	early       bool                                     // stop comes during start
}

func drawLife(t *rapid.T) (l life) {
	durations := rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, time.Second, 3 * time.Second, 15 * time.Second})
	l.start.deadline = durations.Draw(t, "start deadline")
	l.start.cancel = durations.Draw(t, "start cancelled")
	l.stop.deadline = durations.Draw(t, "stop deadline")
	l.stop.cancel = durations.Draw(t, "stop cancelled")
	l.early = rapid.Bool().Draw(t, "stop during start")
	if l.start.deadline+l.start.cancel == 0 {
		l.start.deadline = time.Minute // something must end a start that hangs
	}
	return l
}

func TestL4_in_any_life_everything_is_destroyed_once(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(draw *rapid.T) {
		var release chan struct{}
		g := drawGraph(draw, 3, map[string]func(context.Context) error{
			"error": failures["error"], "panic": failures["panic"],
			"hangs":                        func(context.Context) error { <-release; return nil },
			"hangs until its context ends": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			slow:                           func(context.Context) error { time.Sleep(1500 * time.Millisecond); return nil },
		})
		for i, n := range g.nodes {
			if n.fail == "PostInject" && n.how != nil {
				g.nodes[i].how = failures["error"] // Fx bounds no constructor
			}
		}
		l := drawLife(draw)
		var problems []error
		synctest.Test(t, func(t *testing.T) {
			release = make(chan struct{})
			defer close(release)
			problems = append(g.live(l), g.check())
		})
		require.NoError(draw, errors.Join(problems...), "%+v: %v", l, g.list())
	})
}

func (g *graph) live(l life) (problems []error) {
	var c *fxlifecycle.Coordinator
	app := fx.New(g.options(), fx.Populate(&c))
	if app.Err() != nil {
		return nil
	}
	started := make(chan error, 1)
	var inTime [2]error
	go func() {
		var err error
		err, inTime[0] = within(l.start.deadline, l.start.cancel, app.Start)
		started <- err
	}()
	var err error
	if l.early {
		time.Sleep(500 * time.Millisecond)
	} else {
		err = <-started
	}
	if err == nil {
		_, inTime[1] = within(l.stop.deadline, l.stop.cancel, app.Stop)
	}
	if l.early {
		<-started
	}
	time.Sleep(time.Minute) // for what goes on after Fx has returned
	if phase := c.Phase(); phase != fxlifecycle.Stopped && phase != fxlifecycle.Constructing {
		problems = append(problems, fmt.Errorf("the application is %s", phase))
	}
	return append(problems, inTime[:]...)
}

// within runs Start or Stop with a deadline and a cancellation; late tells that it did not return at the first of them.
func within(deadline, cancelled time.Duration, run func(context.Context) error) (err, late error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	limit := time.Hour
	if deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, deadline)
		defer cancel()
		limit = deadline
	}
	if cancelled > 0 {
		defer time.AfterFunc(cancelled, cancel).Stop()
		limit = min(limit, cancelled)
	}
	begin := time.Now()
	err = run(ctx)
	if took := time.Since(begin); took > limit {
		late = fmt.Errorf("it took %s, with a deadline of %s, cancelled after %s", took, deadline, cancelled)
	}
	return err, late
}

// check is what holds after any life.
func (g *graph) check() error {
	list := g.list()
	at := func(n node, hook string) int { return slices.Index(list, n.name+"."+hook) }
	lastDrain, firstClose := -1, len(list)
	for i, step := range list {
		switch _, hook := cutStep(step); hook {
		case "PreDestroy":
			lastDrain = i
		case "Destroy", "OnStop":
			if started := slices.ContainsFunc(list, func(s string) bool { return strings.HasSuffix(s, ".PreDestroy") }); started {
				firstClose = min(firstClose, i)
			}
		}
	}
	if firstClose < lastDrain {
		return fmt.Errorf("L5: %s ran before %s: %v", list[firstClose], list[lastDrain], list)
	}
	for _, n := range g.nodes {
		if n.kind == "managed" && at(n, "new") >= 0 && g.count(n.name+".Destroy") != 1 {
			return fmt.Errorf("L4: %s was destroyed %d times: %v", n.name, g.count(n.name+".Destroy"), list)
		}
		if at(n, "PreDestroy") >= 0 && (at(n, "Init") < 0 || n.fail == "Init" && n.way != slow) {
			return fmt.Errorf("L4: %s was drained without having been started: %v", n.name, list)
		}
		for _, d := range n.deps {
			dep := g.nodes[d]
			err := errors.Join(g.ordered(at(dep, "Init"), at(n, "Init")), g.ordered(at(n, "PreDestroy"), at(dep, "PreDestroy")))
			if n.fail != "PostInject" { // a failed constructor destroys its object at once
				err = errors.Join(err, g.ordered(at(n, "Destroy"), at(dep, "Destroy")))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// ordered checks L2 for two hooks of which either may not have run.
func (g *graph) ordered(first, second int) error {
	if first >= 0 && second >= 0 && first > second {
		return fmt.Errorf("L2: %s ran before %s: %v", g.list()[second], g.list()[first], g.list())
	}
	return nil
}
