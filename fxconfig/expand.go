package fxconfig

import (
	"fmt"
	"os"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// maxExpanded bounds the text that expansion makes: a million values could each repeat a variable of a megabyte.
const maxExpanded = 64 << 20

func hasVariable(text string) bool { return strings.Contains(text, "${") }

// An expander replaces ${…} in a merged graph by what the environment says at that moment (C2).
// A value that cannot be expanded is marked, and reported by whoever decodes it: a variable that only an unused section wants need not be set.
type expander struct {
	lookup func(string) (string, bool)
	made   int
}

func expand(n *node) *node {
	if n == nil || n.flags&variable == 0 {
		return n
	}
	x := &expander{lookup: os.LookupEnv}
	return x.node(n)
}

func (x *expander) node(n *node) *node {
	if n.flags&variable == 0 {
		return n
	}
	out := *n
	out.flags &^= variable
	switch n.kind {
	case scalarKind:
		x.scalar(&out)
	case mappingKind:
		e := *n.extra
		e.entries = make([]entry, len(n.entries))
		for i, old := range n.entries {
			old.value = x.node(old.value)
			out.flags |= old.value.flags & broken
			e.entries[i] = old
		}
		out.extra = &e
	case sequenceKind:
		e := *n.extra
		e.items = make([]*node, len(n.items))
		for i, old := range n.items {
			e.items[i] = x.node(old)
			out.flags |= e.items[i].flags & broken
		}
		out.extra = &e
	}
	return &out
}

func (x *expander) scalar(n *node) {
	text, err := x.text(n.text)
	if err != nil {
		e := extra{problem: err.Error()}
		n.flags |= broken
		n.extra = &e
		return
	}
	n.text = text
	n.flags |= expanded
	if n.tag == binaryTag || n.tag == otherTag {
		return
	}
	// Its tag was that of the text before. An explicit one (!!int "${X}") is the tag of a value that cannot
	// be anything else, and the decoder checks the new text against its target.
	n.plain = plainTag(text)
	if n.tag == strTag && n.flags&quoted == 0 && n.plain != nullTag {
		n.tag = n.plain
	}
}

// plainTag is the YAML type of an unquoted scalar.
func plainTag(text string) tag {
	y := yaml.Node{Kind: yaml.ScalarNode, Value: text}
	return tagOf(y.ShortTag())
}

// text reads from left to right: $${ is a literal ${, and ${ begins a variable that ends at the next }.
// Errors name the variable and never quote the rest: it may be a secret.
func (x *expander) text(s string) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			break
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1])
			b.WriteString("${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		inside, rest, closed := strings.Cut(s[i+2:], "}")
		if !closed {
			return "", fmt.Errorf("a ${ without its } (write $${ for a literal ${)")
		}
		value, err := x.variable(inside)
		if err != nil {
			return "", err
		}
		if b.Len() == 0 && rest == "" {
			return value, nil // nothing but a variable: no copy
		}
		if x.made += len(value); x.made > maxExpanded {
			return "", fmt.Errorf("the variables expand to more than %d MiB", maxExpanded>>20)
		}
		b.WriteString(value)
		s = rest
	}
	return b.String(), nil
}

func (x *expander) variable(inside string) (string, error) {
	name, fallback, hasDefault := strings.Cut(inside, ":")
	if !validName(name) {
		return "", fmt.Errorf("a ${ without a variable's name after it (write $${ for a literal ${)")
	}
	if strings.HasPrefix(fallback, "-") {
		return "", fmt.Errorf("${%s:-…} is the shell's spelling of a default; here it is ${%s:…}", name, name)
	}
	if value, ok := x.lookup(name); ok {
		return value, nil
	}
	if message, required := strings.CutPrefix(fallback, "?"); required {
		if message == "" {
			message = "it must be set"
		}
		return "", fmt.Errorf("the environment variable %s is not set: %s", name, message)
	}
	if !hasDefault {
		return "", fmt.Errorf("the environment variable %s is not set, and ${%s} has no default (${%s:default} gives one)", name, name, name)
	}
	return fallback, nil
}

// validName keeps to what an environment can hold, without what shows that something else was meant.
func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune("=${\"'", r)
	})
}
