package fxlifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

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
	how  func(context.Context) error
}

type graph struct {
	steps
	nodes []node
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

func drawGraph(t *rapid.T) (*graph, fx.Option) {
	g := &graph{}
	for i := range rapid.IntRange(1, 10).Draw(t, "nodes") {
		n := node{name: fmt.Sprintf("n%d", i), kind: rapid.SampledFrom([]string{"managed", "managed", "raw", "annotated"}).Draw(t, "kind")}
		if i > 0 {
			n.deps = rapid.SliceOfNDistinct(rapid.IntRange(0, i-1), 0, min(i, 2), rapid.ID[int]).Draw(t, "deps")
		}
		if rapid.IntRange(0, 9).Draw(t, "fails") == 0 {
			n.fail = rapid.SampledFrom([]string{"PostInject", "Init", "OnStart", "PreDestroy", "Destroy", "OnStop"}).Draw(t, "hook")
			n.how = failures[rapid.SampledFrom([]string{"error", "panic"}).Draw(t, "how")]
		}
		g.nodes = append(g.nodes, n)
	}
	// The options in any order, in modules or not; some nodes nobody asks for.
	options := []fx.Option{fxlifecycle.Coordinate()}
	for _, n := range g.nodes {
		options = append(options, g.provide(n))
		if rapid.Bool().Draw(t, "invoked") {
			options = append(options, g.invoke(n))
		}
	}
	options = rapid.Permutation(options).Draw(t, "order")
	for i, o := range options {
		if !strings.Contains(o.String(), "RecoverFromPanics") && rapid.Bool().Draw(t, "in a module") {
			options[i] = fx.Module(fmt.Sprintf("m%d", i), o)
		}
	}
	return g, fx.Options(options...)
}

func TestL5_in_any_application_nothing_closes_before_everything_is_drained(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, options := drawGraph(t)
		app := fx.New(fx.NopLogger, fx.Supply(zap.NewNop()), options)
		if app.Err() == nil && app.Start(context.Background()) == nil {
			_ = app.Stop(context.Background())
		}
		g.check(t)
	})
}

func (g *graph) check(t *rapid.T) {
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
		t.Fatalf("%s ran before %s: %v", list[firstClose], list[lastDrain], list)
	}
	for _, n := range g.nodes {
		if n.kind == "managed" && at(n, "new") >= 0 && g.count(n.name+".Destroy") != 1 {
			t.Fatalf("L4: %s was destroyed %d times: %v", n.name, g.count(n.name+".Destroy"), list)
		}
		if at(n, "PreDestroy") >= 0 && (at(n, "Init") < 0 || n.fail == "Init") {
			t.Fatalf("L4: %s was drained without having been started: %v", n.name, list)
		}
		for _, d := range n.deps {
			dep := g.nodes[d]
			g.ordered(t, at(dep, "Init"), at(n, "Init"))
			g.ordered(t, at(n, "PreDestroy"), at(dep, "PreDestroy"))
			// A failed constructor destroys its object at once.
			if n.fail != "PostInject" {
				g.ordered(t, at(n, "Destroy"), at(dep, "Destroy"))
			}
		}
	}
}

// ordered checks L2 for two hooks of which either may not have run.
func (g *graph) ordered(t *rapid.T, first, second int) {
	if first >= 0 && second >= 0 && first > second {
		t.Fatalf("L2: %s ran before %s: %v", g.list()[second], g.list()[first], g.list())
	}
}
