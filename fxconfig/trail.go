package fxconfig

import (
	"strconv"
	"strings"
)

// A trail is where in the configuration one is.
type trail struct {
	paths []string
	main  int
	steps []step
}

type step struct {
	key  string
	item int    // of a list, where isItem
	from uint16 // see entry.from
	kind kind   // of what the step is in
}

func (t *trail) enter(e *entry) { t.steps = append(t.steps, step{key: e.key, from: e.from}) }
func (t *trail) enterItem(i int) {
	t.steps = append(t.steps, step{item: i, kind: sequenceKind})
}
func (t *trail) leave() { t.steps = t.steps[:len(t.steps)-1] }

// path is made only for a problem.
func (t *trail) path() string {
	section := t.main
	var b strings.Builder
	for i := len(t.steps) - 1; i >= 0; i-- {
		if from := t.steps[i].from; from > 0 {
			section = int(from) - 1
			break
		}
	}
	b.WriteString(t.paths[section])
	for _, s := range t.steps {
		if s.kind == sequenceKind {
			writeKey(&b, strconv.Itoa(s.item))
		} else {
			writeKey(&b, s.key)
		}
	}
	return b.String()
}
