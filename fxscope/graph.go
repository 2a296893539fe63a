package fxscope

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A graph is what Fx tells of its own graph, as text in the DOT language. It serves only to explain errors, so it is read
// when there is one. Its types are written without import paths: two types of the same short name look like one.
type graph struct {
	dot    string
	once   sync.Once
	ctors  []*node
	byName map[string]*node    // what a constructor gives
	groups map[string][]string // the members of a group
}

// A node is a constructor.
type node struct {
	pkg, name string
	results   []string
	params    []string // those that are not optional
}

func (n *node) String() string {
	if n.pkg == "reflect" && n.name == "makeFuncStub" {
		return "fx.Supply or fx.Annotate" // all that Fx tells of these
	}
	return n.pkg + "." + n.name
}

// internal tells what nobody means to ask for: Fx's own types, and our providers, which stand for the user's constructors.
func (n *node) internal() bool {
	return strings.HasPrefix(n.pkg, "go.uber.org/fx") || slices.ContainsFunc(n.results, func(r string) bool { return strings.HasPrefix(r, "*fxscope.") })
}

func (g *graph) read() {
	g.byName, g.groups = make(map[string]*node), make(map[string][]string)
	inside := false
	for line := range strings.Lines(g.dot) {
		line = strings.TrimSpace(line)
		quoted, rest := unquote(line)
		switch {
		case strings.HasPrefix(line, "subgraph cluster_"):
			inside = true
			g.ctors = append(g.ctors, &node{})
		case line == "}":
			inside = false
		case strings.HasPrefix(line, "label = "):
			g.last().pkg, _ = unquote(strings.TrimPrefix(line, "label = "))
		case strings.HasPrefix(line, "constructor_"):
			g.readConstructor(line)
		case quoted == "":
		case inside:
			g.last().results = append(g.last().results, quoted)
			g.byName[quoted] = g.last()
		case strings.HasPrefix(rest, " -> "):
			member, _ := unquote(strings.TrimPrefix(rest, " -> "))
			g.groups[quoted] = append(g.groups[quoted], member)
		}
	}
}

// readConstructor reads the name of a constructor, or an edge from it to one of its parameters.
func (g *graph) readConstructor(line string) {
	if _, label, ok := strings.Cut(line, "label="); ok && !strings.Contains(line, " -> ") {
		g.last().name, _ = unquote(label)
		return
	}
	head, tail, ok := strings.Cut(line, " -> ")
	index, err := strconv.Atoi(strings.TrimPrefix(head, "constructor_"))
	if !ok || err != nil || index >= len(g.ctors) {
		return
	}
	if param, rest := unquote(tail); !strings.Contains(rest, "style=dashed") {
		g.ctors[index].params = append(g.ctors[index].params, param)
	}
}

func (g *graph) last() *node {
	if len(g.ctors) == 0 {
		g.ctors = append(g.ctors, &node{})
	}
	return g.ctors[len(g.ctors)-1]
}

func unquote(s string) (text, rest string) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil || !strings.HasPrefix(s, `"`) {
		return "", s
	}
	text, _ = strconv.Unquote(quoted)
	return text, s[len(quoted):]
}

func dotKey(k key) string {
	if k.name == "" {
		return k.t.String()
	}
	return fmt.Sprintf("%v[name=%v]", k.t, k.name)
}

// broken says what keeps Fx from providing what somebody provides, or nothing if nobody does.
func (g *graph) broken(w *want) string {
	g.once.Do(g.read)
	at := dotKey(w.key)
	if w.group != "" {
		name, _, _ := strings.Cut(w.group, ",")
		at = fmt.Sprintf("[type=%v group=%v]", w.t.Elem(), name)
	} else if g.byName[at] == nil {
		return ""
	}
	return g.missing(at, make(map[string]bool))
}

// missing follows the parameters from at to one that nobody provides.
func (g *graph) missing(at string, seen map[string]bool) string {
	if seen[at] {
		return ""
	}
	seen[at] = true
	if members, ok := g.groups[at]; ok {
		for _, m := range members {
			if found := g.missing(m, seen); found != "" {
				return found
			}
		}
		return ""
	}
	n := g.byName[at]
	if n == nil {
		return "" // an empty group
	}
	for _, param := range n.params {
		if g.byName[param] == nil && !strings.HasPrefix(param, "[type=") {
			return fmt.Sprintf("%v wants %s for %s, and nobody provides %s", n, param, at, param)
		}
		if found := g.missing(param, seen); found != "" {
			return found
		}
	}
	return ""
}

// provider is the constructor that gives Fx what k names.
func (g *graph) provider(k key) *node {
	g.once.Do(g.read)
	return g.byName[dotKey(k)]
}

func (g *graph) from(w *want) string {
	if n := g.provider(w.key); n != nil {
		return " from " + n.String()
	}
	return ""
}

// near lists what Fx has of k's type under other names, and as pointer or value.
func (g *graph) near(k key) []string {
	g.once.Do(g.read)
	other := reflect.PointerTo(k.t).String()
	if k.t.Kind() == reflect.Pointer {
		other = k.t.Elem().String()
	}
	var near []string
	for _, n := range g.ctors {
		for _, r := range n.results {
			if r != dotKey(k) && (r == k.t.String() || r == other || strings.HasPrefix(r, k.t.String()+"[name=")) {
				near = append(near, fmt.Sprintf("%s from %v (Fx)", r, n))
			}
		}
	}
	return near
}

func (g *graph) names() []string {
	g.once.Do(g.read)
	var names []string
	for _, n := range g.ctors {
		if !n.internal() {
			names = append(names, n.results...)
		}
	}
	return names
}
