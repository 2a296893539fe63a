package fxconfig

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A Problem is one thing that is wrong with the configuration, or with what it was decoded into.
type Problem struct {
	Position string // "config.yaml:14:7"; for a Value the line of Go that made it; empty if nothing is to blame
	Path     string // the dotted path, as Decode and Origin take it; empty for the whole
	Message  string // what is wrong, and what would have been right
}

// String is "position: path: message", without the parts that are empty.
func (p Problem) String() string {
	var b strings.Builder
	for _, part := range []string{p.Position, p.Path} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
	}
	b.WriteString(p.Message)
	return b.String()
}

// An Error holds everything that is wrong with a document or a section: at least one Problem, file by file.
// Its text is one line per problem. It unwraps to the errors that UnmarshalYAML, UnmarshalText and
// Validate methods returned, so errors.Is and errors.As find those.
type Error struct {
	Problems []Problem

	causes []error
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (e *Error) Unwrap() []error { return e.causes }

// At says which key an error is about: the one at path, beneath the value whose Validate method returns it.
// The problem that Decode makes of it then has that key's path and position. At(path, nil) is nil.
//
//	func (c Config) Validate() error {
//		if c.Timeout < 0 {
//			return fxconfig.At("timeout", errors.New("must not be negative"))
//		}
//		return nil
//	}
func At(path string, err error) error {
	if err == nil {
		return nil
	}
	return beneath(path, err)
}

func beneath(path string, err error) *Error {
	if inner, ok := err.(*Error); ok { //nolint:errorlint // a wrapped *Error has words of its own around it
		out := &Error{causes: inner.causes}
		for _, p := range inner.Problems {
			p.Path = joinPaths(path, p.Path)
			out.Problems = append(out.Problems, p)
		}
		return out
	}
	return &Error{Problems: []Problem{{Path: path, Message: err.Error()}}, causes: []error{err}}
}

// maxProblems bounds the length of an error; a file in which everything is wrong is not read to its end by anybody.
const maxProblems = 1000

// report collects problems.
type report struct {
	problems []Problem
	causes   []error
	more     int // beyond maxProblems
}

// full counts a problem that need not be made, because it would not be kept.
func (r *report) full() bool {
	if len(r.problems) < maxProblems {
		return false
	}
	r.more++
	return true
}

func (r *report) count() int { return len(r.problems) + r.more }

func (r *report) add(p Problem, cause error) {
	if cause != nil && len(r.causes) < maxProblems {
		r.causes = append(r.causes, cause)
	}
	if r.full() {
		return
	}
	r.problems = append(r.problems, p)
}

// err is nil if there was no problem: a nil error, not a nil *Error. The problems come file by file, in the order of each.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	if len(r.problems) > 1 {
		sortProblems(r.problems)
	}
	if r.more > 0 {
		r.problems = append(r.problems, Problem{Message: plural(r.more, "further problem", "further problems")})
	}
	return &Error{Problems: r.problems, causes: r.causes}
}

func sortProblems(problems []Problem) {
	files := map[string]int{} // in order of appearance
	for _, p := range problems {
		name, _, _ := splitPosition(p.Position)
		if _, ok := files[name]; !ok {
			files[name] = len(files)
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		fileA, lineA, colA := splitPosition(a.Position)
		fileB, lineB, colB := splitPosition(b.Position)
		return cmp.Or(cmp.Compare(files[fileA], files[fileB]), cmp.Compare(lineA, lineB), cmp.Compare(colA, colB))
	})
}

func splitPosition(position string) (file string, line, col int) {
	file = position
	for range 2 {
		i := strings.LastIndexByte(file, ':')
		n, err := strconv.Atoi(file[i+1:])
		if i < 0 || err != nil {
			break
		}
		file, line, col = file[:i], n, line
	}
	return file, line, col
}
