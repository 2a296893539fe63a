package fxconfig

// merge lays over above base (C1): mappings merge deeply, and everything else of over replaces what base has.
// Neither is changed. Entries keep base's order, new ones follow in over's.
//
// from marks base's entries with the section they came from (see entry.from), unless a merge before marked them;
// 0 marks nothing. What is not marked is from the section merged last, or from where the mapping around it is.
func merge(base, over *node, from uint16) *node {
	if base == nil || base.kind != mappingKind || over.kind != mappingKind {
		return over
	}
	entries := make([]entry, len(base.entries), len(base.entries)+len(over.entries))
	copy(entries, base.entries)
	for i := range entries {
		if entries[i].from == 0 {
			entries[i].from = from
		}
	}
	layers := layersOf(base.entries)
	for _, e := range over.entries {
		e.layer += layers
		if i := base.find(e.key); i >= 0 {
			e.value = merge(entries[i].value, e.value, entries[i].from)
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
	merged.flags = (base.flags | over.flags) & broken // perhaps only in what was replaced: whoever asks looks
	merged.seal()
	return merged
}
