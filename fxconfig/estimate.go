package fxconfig

import "bytes"

// estimate says about how many values a document has, before yaml.v3 makes 200 bytes of each: at least a third of
// what it has, which bounds memory, and not more except where keys begin with ?. The exact count follows on the tree.
//
// In block style a value begins at each dash, at each ? and after each colon, in flow style at each comma and after
// each bracket that is not closed at once. Quoted text, block scalars and comments hold no values.
func estimate(text []byte) int {
	if len(text) <= maxValues {
		return 0 // each needs more than a byte
	}
	e := estimator{text: text}
	for e.i < len(e.text) {
		if e.flow > 0 {
			e.flowToken()
		} else {
			e.blockLine()
		}
	}
	return e.count
}

type estimator struct {
	text  []byte
	i     int
	start int // of the line that seen is on
	seen  int
	flow  int // how many brackets are open
	count int
}

func (e *estimator) peek(at int) byte {
	if at < len(e.text) {
		return e.text[at]
	}
	return '\n'
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (e *estimator) skipSpaces() {
	for e.i < len(e.text) && (e.text[e.i] == ' ' || e.text[e.i] == '\t') {
		e.i++
	}
}

func (e *estimator) skipLine() {
	if n := bytes.IndexByte(e.text[e.i:], '\n'); n >= 0 {
		e.i += n + 1
	} else {
		e.i = len(e.text)
	}
}

// quoted skips a quoted text, which may have several lines. One with ” in it passes for two.
func (e *estimator) quoted() {
	quote := e.text[e.i]
	for e.i++; e.i < len(e.text); e.i++ {
		switch c := e.text[e.i]; {
		case c == '\\' && quote == '"':
			e.i++
		case c == quote:
			e.i++
			return
		}
	}
}

// lineStart looks only through what it has not seen before: a line may be 10 MiB of brackets.
func (e *estimator) lineStart() int {
	if n := bytes.LastIndexByte(e.text[e.seen:e.i], '\n'); n >= 0 {
		e.start = e.seen + n + 1
	}
	e.seen = e.i
	return e.start
}

// blockLine reads the rest of a line, and what a quote, a block scalar or a bracket on it opens.
func (e *estimator) blockLine() {
	start := e.lineStart()
	parent := -1 // the column of the innermost dash or key: a block scalar is indented more
	for e.i < len(e.text) {
		e.skipSpaces()
		switch c := e.peek(e.i); {
		case c == '\n' || c == '\r' || c == '#':
			e.skipLine()
			return
		case (c == '-' || c == '?') && blank(e.peek(e.i+1)):
			e.count++
			parent = e.i - start
			e.i++
		case c == '&' || c == '!': // an anchor or a tag before the value
			for !blank(e.peek(e.i)) {
				e.i++
			}
		case c == '"' || c == '\'':
			parent = e.i - start
			e.quoted()
			e.colon()
		case c == '[' || c == '{':
			e.open()
			return
		case (c == '|' || c == '>') && e.scalarHeader():
			e.blockScalar(parent)
			return
		default:
			parent = e.i - start
			if !e.plain() {
				e.skipLine()
				return
			}
		}
	}
}

// colon counts the value after a key.
func (e *estimator) colon() {
	e.skipSpaces()
	if e.peek(e.i) == ':' && blank(e.peek(e.i+1)) {
		e.count++
		e.i++
	}
}

// plain reads a plain scalar up to the colon that makes it a key; false if there is none on this line.
func (e *estimator) plain() bool {
	for ; e.i < len(e.text) && e.text[e.i] != '\n'; e.i++ {
		switch c := e.text[e.i]; {
		case c == ':' && blank(e.peek(e.i+1)):
			e.count++
			e.i++
			return true
		case c == '#' && blank(e.text[e.i-1]):
			return false
		}
	}
	return false
}

// scalarHeader tells whether nothing but indicators and a comment follow on this line.
func (e *estimator) scalarHeader() bool {
	i := e.i + 1
	for c := e.peek(i); c == '+' || c == '-' || c >= '0' && c <= '9'; c = e.peek(i) {
		i++
	}
	for e.peek(i) == ' ' || e.peek(i) == '\t' {
		i++
	}
	c := e.peek(i)
	return c == '\n' || c == '\r' || c == '#'
}

// blockScalar skips the lines of text, which are empty or indented more than the parent.
func (e *estimator) blockScalar(parent int) {
	for e.skipLine(); e.i < len(e.text); e.skipLine() {
		indent := 0
		for e.peek(e.i+indent) == ' ' {
			indent++
		}
		if c := e.peek(e.i + indent); indent <= parent && c != '\n' && c != '\r' {
			return
		}
	}
}

func (e *estimator) open() {
	e.flow++
	e.i++
	for blank(e.peek(e.i)) && e.i < len(e.text) {
		e.i++
	}
	if c := e.peek(e.i); c != ']' && c != '}' {
		e.count++
	}
}

// flowToken reads one token inside brackets.
func (e *estimator) flowToken() {
	switch c := e.text[e.i]; c {
	case '[', '{':
		e.open()
	case ']', '}':
		e.flow--
		e.i++
	case ',':
		e.count++
		e.i++
	case '"', '\'':
		e.quoted()
	case '#':
		e.skipLine()
	case ' ', '\t', '\n', '\r', ':', '?':
		e.i++
	default: // a plain scalar, in which quotes are letters
		for e.i++; e.i < len(e.text); e.i++ {
			c := e.text[e.i]
			if c == ',' || c == '[' || c == ']' || c == '{' || c == '}' || c == '\n' ||
				c == ':' && (blank(e.peek(e.i+1)) || e.peek(e.i+1) == ',') || c == '#' && blank(e.text[e.i-1]) {
				return
			}
		}
	}
}
