package fxconfig

// merge lays over above base (C1): mappings merge deeply, and everything else of over replaces what base has.
// Neither is changed. Entries keep base's order, new ones follow in over's.
//
// fromBase and fromOver mark entries with the section they came from (see entry.from); 0 marks nothing.
func merge(base, over *node, fromBase, fromOver uint16) *node {
	if base == nil || base.kind != mappingKind || over.kind != mappingKind {
		return over
	}
	entries := make([]entry, len(base.entries), len(base.entries)+len(over.entries))
	copy(entries, base.entries)
	if fromBase != 0 {
		mark(entries, fromBase)
	}
	for _, e := range over.entries {
		if fromOver != 0 {
			e.from = fromOver
		}
		if i := base.find(e.key); i >= 0 {
			e.value = merge(entries[i].value, e.value, entries[i].from, e.from)
			entries[i] = e
		} else {
			entries = append(entries, e)
		}
	}
	merged := &node{
		file: over.file, line: over.line, col: over.col,
		kind:  mappingKind,
		extra: &extra{entries: entries},
	}
	merged.flags |= (base.flags | over.flags) & broken // perhaps only in what was replaced: a value that is asked is looked through
	merged.seal()
	return merged
}

func mark(entries []entry, from uint16) {
	for i := range entries {
		if entries[i].from == 0 {
			entries[i].from = from
		}
	}
}
