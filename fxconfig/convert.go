package fxconfig

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// A converter turns yaml.v3's tree into a graph of our nodes: anchors resolved, << merged, keys checked.
type converter struct {
	trail
	file    *file
	report  *report
	anchors map[*yaml.Node]*node // nil while what stands there is being converted
	made    int                  // nodes, and entries copied by <<
	stopped bool                 // a bound was passed: the rest is not read
	literal bool                 // ${…} is text like any other

	nodes  []node  // room for the next ones: one allocation for many
	extras []extra // the same
}

func (c *converter) new(y *yaml.Node, k kind) *node {
	if len(c.nodes) == 0 {
		c.nodes = make([]node, 256)
	}
	n := &c.nodes[0]
	c.nodes = c.nodes[1:]
	n.file, n.line, n.col, n.kind = c.file, int32(y.Line), int32(y.Column), k
	n.size, n.depth = 1, 1
	return n
}

func (c *converter) newExtra() *extra {
	if len(c.extras) == 0 {
		c.extras = make([]extra, 64)
	}
	e := &c.extras[0]
	c.extras = c.extras[1:]
	return e
}

func (c *converter) problem(y *yaml.Node, format string, args ...any) {
	if c.report.full() {
		return
	}
	c.report.add(Problem{
		Position: c.file.position(int32(y.Line), int32(y.Column)), Path: c.path(), Message: fmt.Sprintf(format, args...),
	}, nil)
}

// stop ends the conversion: what follows cannot be trusted to end in time.
func (c *converter) stop(y *yaml.Node, format string, args ...any) {
	if !c.stopped {
		c.stopped = true
		c.problem(y, format, args...)
	}
}

// node converts y. Once stopped it gives nodes without content.
func (c *converter) node(y *yaml.Node) *node {
	if y.Kind == yaml.AliasNode {
		return c.alias(y)
	}
	if y.Anchor == "" {
		return c.fresh(y)
	}
	if c.anchors == nil {
		c.anchors = make(map[*yaml.Node]*node)
	}
	c.anchors[y] = nil
	n := c.fresh(y)
	c.anchors[y] = n
	return n
}

func (c *converter) alias(y *yaml.Node) *node {
	n := c.anchors[y.Alias] // the parser knows only anchors that stand before their aliases
	if n == nil {
		c.stop(y, "the anchor &%s contains itself", y.Value) // a tree made by code could also lack the anchor
		return c.new(y, scalarKind)
	}
	return n
}

func (c *converter) fresh(y *yaml.Node) *node {
	if c.stopped {
		return c.new(y, scalarKind)
	}
	if c.made++; c.made > maxValues {
		c.stop(y, "more than %d values, the most that is read", maxValues)
	}
	if len(c.steps) > maxDepth { // the parser stops here itself, but a Value may hold any yaml.Node
		c.stop(y, "nested deeper than %d, the deepest that is read", maxDepth)
		return c.new(y, scalarKind)
	}
	switch y.Kind {
	case yaml.MappingNode:
		return c.bounded(y, c.mapping(y))
	case yaml.SequenceNode:
		n := c.new(y, sequenceKind)
		n.extra = c.newExtra()
		n.items = make([]*node, len(y.Content))
		for i, item := range y.Content {
			c.enterItem(i)
			n.items[i] = c.node(item)
			c.leave()
		}
		c.customTag(n, y, "!!seq")
		n.seal()
		return c.bounded(y, n)
	}
	return c.scalar(y)
}

// bounded stops at a node that stands for too much. Its children were within the bounds, so
// the position is that of the first alias or nesting that goes too far, or of what holds it.
func (c *converter) bounded(y *yaml.Node, n *node) *node {
	if n.size > maxValues {
		c.stop(y, "more than %d values, aliases counted, the most that is read", maxValues)
	}
	if n.depth > maxDepth {
		c.stop(y, "nested deeper than %d, aliases counted, the deepest that is read", maxDepth)
	}
	return n
}

func (c *converter) scalar(y *yaml.Node) *node {
	n := c.new(y, scalarKind)
	n.text = y.Value
	if y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 {
		n.flags |= quoted
	}
	n.tag = tagOf(y.ShortTag())
	if n.tag == otherTag {
		n.extra = c.newExtra()
		n.extra.tag = y.Tag
	}
	n.plain = n.tag
	if n.tag == nullTag && plainTag(n.text) != nullTag {
		c.problem(y, "is not null, as its tag says")
	}
	if !c.literal && hasVariable(n.text) {
		n.flags |= variable
	}
	return n
}

func (c *converter) customTag(n *node, y *yaml.Node, usual string) {
	if y.Tag != usual {
		n.extra.tag = y.Tag
	}
}

func tagOf(short string) tag {
	switch short {
	case "!!str", "!!merge":
		return strTag
	case "!!null":
		return nullTag
	case "!!bool":
		return boolTag
	case "!!int":
		return intTag
	case "!!float":
		return floatTag
	case "!!timestamp":
		return timeTag
	case "!!binary":
		return binaryTag
	}
	return otherTag
}

func (c *converter) mapping(y *yaml.Node) *node {
	n := c.new(y, mappingKind)
	n.extra = c.newExtra()
	n.entries = make([]entry, 0, len(y.Content)/2)
	var merges []*yaml.Node // the values of <<
	var seen map[string]int32
	if len(y.Content)/2 >= indexFrom {
		seen = make(map[string]int32, len(y.Content)/2)
		n.index = seen
	}
	at := 0 // where the keys of << belong
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			c.problem(y.Content[i], "a key must be text, not a mapping or a list")
			c.node(value)
			continue
		}
		if key.Tag == "!!merge" {
			if len(merges) > 0 {
				c.problem(y.Content[i], "a second << in one mapping; merge several with <<: [*a, *b]")
				c.node(value)
				continue
			}
			merges, at = append(merges, value), len(n.entries)
			continue
		}
		if old := n.find(key.Value); old >= 0 {
			e := &n.entries[old]
			c.enter(e)
			c.problem(y.Content[i], "duplicate key, first set at %s", c.file.position(e.line, e.col))
			c.node(value) // it may have an anchor
			c.leave()
			continue
		}
		if seen != nil {
			seen[key.Value] = int32(len(n.entries))
		}
		n.entries = append(n.entries, entry{key: key.Value, line: int32(y.Content[i].Line), col: int32(y.Content[i].Column)})
		e := &n.entries[len(n.entries)-1]
		c.enter(e)
		e.value = c.node(value)
		c.leave()
	}
	c.customTag(n, y, "!!map")
	if len(merges) > 0 {
		c.merge(n, merges[0], at)
	}
	n.seal()
	return n
}

// merge inserts at index at what << adds to n: n's own keys come first, then each merged mapping's before those of the next.
func (c *converter) merge(n *node, y *yaml.Node, at int) {
	sources := []*yaml.Node{y}
	if y.Kind == yaml.SequenceNode {
		sources = y.Content
	}
	var added []entry
	var starts []int           // where each source's begin
	known := map[string]bool{} // of several sources
	for _, s := range sources {
		from := c.node(s)
		if c.stopped {
			return
		}
		if from.kind != mappingKind {
			c.problem(s, "<< needs a mapping, or a list of mappings, to merge")
			continue
		}
		if c.made += len(from.entries); c.made > maxValues {
			c.stop(s, "more than %d values, those merged with << counted, the most that is read", maxValues)
			return
		}
		if added == nil {
			added = make([]entry, 0, len(from.entries))
		}
		starts = append(starts, len(added))
		for _, e := range from.entries {
			if n.find(e.key) >= 0 || known[e.key] {
				continue
			}
			if len(sources) > 1 {
				known[e.key] = true
			}
			added = append(added, e)
		}
	}
	layers, end := uint32(0), len(added) // an earlier source lies above a later one, and n's own keys above all
	for _, start := range slices.Backward(starts) {
		raise(added[start:end], layers)
		layers, end = max(layers, layersOf(added[start:end])), start
	}
	raise(n.entries, layers)
	n.entries = slices.Insert(n.entries, at, added...)
	n.index = nil // seal makes it anew
}
