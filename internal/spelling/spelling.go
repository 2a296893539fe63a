// Package spelling finds, among the names that would have been right, the one that was probably meant.
package spelling

import (
	"fmt"
	"strings"
)

// Nearest returns the known name closest to name, if one is close enough to be a likely misspelling:
// at most a third of the name's runes differ (one is always allowed), or only case and separators do.
// Of several equally near it returns the first.
func Nearest(name string, known []string) (string, bool) {
	folded := fold(name)
	best, bestDistance := "", 1+max(1, len([]rune(name))/3)
	for _, candidate := range known {
		if candidate == name {
			continue
		}
		d := 0
		if other := fold(candidate); other != folded {
			d = distance(folded, other, bestDistance)
		}
		if d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best, best != ""
}

// Hint is Nearest as the end of an error message, with its leading space: ` (did you mean "endpoints"?)`, or nothing.
func Hint(name string, known []string) string {
	if near, ok := Nearest(name, known); ok {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// List quotes names for an error message: `"a", "b"`. No names are `none`.
func List(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, ", ")
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// distance is the optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours
// each count one. It gives limit as soon as the distance is known to reach it.
func distance(a, b string, limit int) int {
	s, t := []rune(a), []rune(b)
	if abs(len(s)-len(t)) >= limit {
		return limit
	}
	before, previous, current := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(s); i++ {
		current[0] = i
		least := i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
			least = min(least, current[j])
		}
		if least >= limit {
			return limit
		}
		before, previous, current = previous, current, before
	}
	return previous[len(t)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
