package fxconfig

import (
	"fmt"
	"slices"
)

// Keys that are one, such as endpoints, hosts and host, may meet in a mapping that was merged from several. Which of them came last shows in the
// layers of their entries, since the entries themselves keep the order of the files.

// layersOf counts the layers that entries came in.
func layersOf(entries []entry) uint32 {
	layers := uint32(0)
	for i := range entries {
		layers = max(layers, entries[i].layer+1)
	}
	return layers
}

func raise(entries []entry, by uint32) {
	for i := range entries {
		entries[i].layer += by
	}
}

// A twin is an entry whose key is the same as another's in one mapping.
type twin struct {
	*entry
	of string
}

// latest is n with one entry for each key of a struct that has several names: the one that came last. Those that came together with it are
// the twins.
func (p *plan) latest(n *node) (left *node, twins []twin) {
	if p.same == nil || n == nil || n.kind != mappingKind {
		return n, nil
	}
	var dropped []int
	for _, names := range p.same {
		var found []int
		top := uint32(0)
		for _, name := range names {
			if i := n.find(name); i >= 0 {
				found = append(found, i)
				top = max(top, n.entries[i].layer)
			}
		}
		slices.Sort(found)
		kept := -1
		for _, i := range found {
			switch e := &n.entries[i]; {
			case e.layer < top:
				dropped = append(dropped, i)
			case kept < 0:
				kept = i
			default:
				twins = append(twins, twin{e, n.entries[kept].key})
				dropped = append(dropped, i)
			}
		}
	}
	if dropped == nil {
		return n, nil
	}
	left = &node{file: n.file, line: n.line, col: n.col, kind: mappingKind, flags: n.flags & broken, extra: &extra{tag: n.extra.tag}}
	for i := range n.entries {
		if !slices.Contains(dropped, i) {
			left.entries = append(left.entries, n.entries[i])
		}
	}
	left.seal()
	return left, twins
}

// latest reports the twins.
func (d *decoder) latest(n *node, p *plan) *node {
	n, twins := p.latest(n)
	for _, t := range twins {
		d.enter(t.entry)
		d.report.add(Problem{
			Position: t.position(), Path: d.path(),
			Message: fmt.Sprintf("%s is the same key as %s: keep one of them", t.key, t.of),
		}, nil)
		d.leave()
	}
	return n
}

// written is the name under which n has the key that a struct also knows by others.
func (p *plan) written(n *node, key string) string {
	for _, names := range p.same {
		if !slices.Contains(names, key) {
			continue
		}
		for _, name := range names {
			if value, _, _ := n.child(name); value != nil {
				return name
			}
		}
	}
	return key
}
