package fxconfig

import "strconv"

// Bounds of one document (C4). A node beyond them is an error when the document is read, so everything behind
// Load may recurse and copy without asking again.
const (
	maxBytes  = 10 << 20
	maxValues = 1_000_000
	maxDepth  = 10_000
)

type kind uint8

const (
	scalarKind kind = iota
	mappingKind
	sequenceKind
)

type tag uint8

const (
	strTag tag = iota
	nullTag
	boolTag
	intTag
	floatTag
	timeTag
	binaryTag
	otherTag // an application's own, kept as text in extra.tag
)

type flags uint8

const (
	quoted   flags = 1 << iota // written in quotes, as a block or with a tag: its type does not follow from its text
	variable                   // it, or something in it, has ${…} to be expanded
	expanded                   // its text came from an expansion
	broken                     // its expansion failed: extra.problem; or that of something in it
)

// A node is one value of the merged configuration. Nodes are never changed once Load has returned, and
// aliases share them, so a graph of nodes may stand for far more values than it has nodes: size and depth say how many.
type node struct {
	file  *file
	text  string // of a scalar
	line  int32  // 0 where the file has none (Value)
	col   int32
	size  int32 // number of values, itself included; stays at maxValues+1 above that
	depth int32
	kind  kind
	tag   tag // of a scalar
	plain tag // the tag its text would have without quotes: an expanded value may fill a number from quotes
	flags flags
	*extra
}

// extra is what only some nodes have; apart, because most nodes are plain scalars.
type extra struct {
	entries []entry          // of a mapping
	index   map[string]int32 // of a mapping with many entries
	items   []*node          // of a sequence
	tag     string           // otherTag
	problem string           // broken
}

type entry struct {
	key   string
	value *node
	line  int32 // of the key; the file is the value's
	col   int32
	from  uint16 // in a merge of sections: 1 + the section that it is from; see merge
	layer uint32 // in a merge: what is from a later mapping has a higher one; see alias.go
}

// file is where a node stands.
type file struct {
	name string
}

func (n *node) isNull() bool { return n == nil || n.kind == scalarKind && n.tag == nullTag }

func (n *node) position() string {
	if n == nil {
		return ""
	}
	return n.file.position(n.line, n.col)
}

func (e *entry) position() string { return e.value.file.position(e.line, e.col) }

func (f *file) position(line, col int32) string {
	if line == 0 {
		return f.name
	}
	b := make([]byte, 0, len(f.name)+12)
	b = append(b, f.name...)
	b = append(b, ':')
	b = strconv.AppendInt(b, int64(line), 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, int64(col), 10)
	return string(b)
}

// indexFrom is the number of entries from which a mapping has an index.
const indexFrom = 32

// seal completes a mapping or sequence whose children are known.
func (n *node) seal() {
	size, depth := int64(1), int32(0)
	add := func(child *node) {
		size += int64(child.size)
		depth = max(depth, child.depth)
		n.flags |= child.flags & variable
	}
	for i := range n.entries {
		add(n.entries[i].value)
	}
	for _, item := range n.items {
		add(item)
	}
	n.size, n.depth = int32(min(size, maxValues+1)), min(depth+1, maxDepth+1)
	if len(n.entries) >= indexFrom && n.index == nil {
		n.index = make(map[string]int32, len(n.entries))
		for i := range n.entries {
			n.index[n.entries[i].key] = int32(i)
		}
	}
}

// find is the index of a key among the entries of a mapping, or -1.
func (n *node) find(key string) int {
	if n.index != nil {
		if i, ok := n.index[key]; ok {
			return int(i)
		}
		return -1
	}
	for i := range n.entries {
		if n.entries[i].key == key {
			return i
		}
	}
	return -1
}

// child finds what stands beneath a key, or at an index of a sequence, and where its key (or itself) stands.
func (n *node) child(key string) (value *node, line, col int32) {
	switch {
	case n == nil:
	case n.kind == mappingKind:
		if i := n.find(key); i >= 0 {
			e := &n.entries[i]
			return e.value, e.line, e.col
		}
	case n.kind == sequenceKind:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.items) {
			return n.items[i], n.items[i].line, n.items[i].col
		}
	}
	return nil, 0, 0
}

// positionOf is where the key at path beneath n stands, or else the nearest thing around it.
func (n *node) positionOf(path string) string {
	position := n.position()
	keys, _ := splitPath(path)
	for _, key := range keys {
		value, line, col := n.child(key)
		if value == nil {
			break
		}
		n, position = value, value.file.position(line, col)
	}
	return position
}
