package fxconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// parse reads one document. A nil node without an error is a document that says nothing.
// Problems go to r; the node is nil if there were any.
//
// yaml.v3 alone would take a gigabyte for ten megabytes of `1,`, reads UTF-16, and checks duplicate keys
// (in quadratic time) and aliases only when it decodes to Go values, never to a Node; so all that is done here (C4).
func parse(name string, text []byte, r *report) *node {
	f := &file{name: name}
	fail := func(position, message string) *node {
		r.add(Problem{Position: position, Message: message}, nil)
		return nil
	}
	if len(text) > maxBytes {
		return fail(name, fmt.Sprintf("is larger than %d MiB, the most that is read", maxBytes>>20))
	}
	if i := invalidUTF8(text); i >= 0 {
		line, col := lineAndColumn(text, i)
		return fail(f.position(line, col), "is not UTF-8")
	}
	if estimate(text) > maxValues {
		return fail(name, fmt.Sprintf("has more than %d values, the most that is read", maxValues))
	}
	document, second, err := parseYAML(text)
	if err != nil {
		return fail(syntaxError(f, text, err))
	}
	if second != nil {
		return fail(f.position(int32(second.Line), int32(second.Column)), "is a second document; one file holds one document")
	}
	if document == nil || len(document.Content) == 0 {
		return nil
	}
	c := &converter{trail: trail{paths: whole}, file: f, report: r}
	before := r.count()
	root := c.node(document.Content[0])
	if r.count() > before {
		return nil
	}
	return root
}

// parseYAML gives the first document and, if there is another, that one. The first is nil where there is none.
func parseYAML(text []byte) (first, second *yaml.Node, err error) {
	defer func() {
		// What yaml.v3 means to report, it returns; anything else is a defect of its parser, and must not end the process.
		if v := recover(); v != nil {
			err = fmt.Errorf("yaml: the parser failed: %v", v)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var documents [2]yaml.Node
	for i := range documents {
		err := decoder.Decode(&documents[i])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if i == 0 {
			first = &documents[0]
		} else {
			second = &documents[1]
		}
	}
	return first, second, nil
}

func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
}

func lineAndColumn(text []byte, offset int) (line, col int32) {
	before := text[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return int32(bytes.Count(before, []byte{'\n'}) + 1), int32(utf8.RuneCount(before[start:]) + 1)
}

var (
	yamlLine   = regexp.MustCompile(`^line (\d+): `)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntaxError finds the place that an error of yaml.v3 is about; that one names a line at best.
func syntaxError(f *file, text []byte, err error) (position, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ := strconv.Atoi(m[1])
		message = message[len(m[0]):]
		if fromParser(message) {
			line++ // these are counted from 0
		}
		if strings.HasPrefix(message, "did not find expected ',' or") && hasVariable(string(text)) {
			message += " (inside […] and {…} a ${NAME} needs quotes)"
		}
		return fmt.Sprintf("%s:%d", f.name, line), message
	}
	if m := yamlAnchor.FindStringSubmatch(message); m != nil {
		alias := []byte("*" + m[1])
		if i := bytes.Index(text, alias); i >= 0 && bytes.Count(text, alias) == 1 {
			return f.position(lineAndColumn(text, i)), fmt.Sprintf("there is no anchor &%s before this alias", m[1])
		}
		return f.name, fmt.Sprintf("there is no anchor &%s before its alias", m[1])
	}
	if message == "control characters are not allowed" {
		if i := bytes.IndexFunc(text, isControl); i >= 0 {
			return f.position(lineAndColumn(text, i)), message
		}
	}
	if strings.HasPrefix(message, "the parser failed") {
		return f.name, message
	}
	return f.name + ":1", message
}

// fromParser tells yaml.v3's parser, which counts lines from 0, from its scanner, which counts from 1.
func fromParser(message string) bool {
	return strings.HasPrefix(message, "did not find expected") && !strings.Contains(message, "whitespace") &&
		!strings.Contains(message, "digit") && !strings.Contains(message, "comment")
}

// isControl is the complement of what YAML lets a document contain.
func isControl(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r', r == 0x85:
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff:
		return true
	}
	return false
}
