// Package snippets compares the code that documentation shows with code that runs, for tests: neither may change alone.
package snippets

import (
	"path/filepath"
	"strings"
)

// Missing are the blocks of page that none of the sources has: those lines, one after the other. Indentation and empty
// lines do not count, nor does the // of a comment, so a block may be the output of an example.
//
// The page is the text of a .go file, whose package comment counts with its indented blocks, or that of a .md file, with
// its fenced ones.
func Missing(name, page string, sources ...string) []string {
	var missing []string
blocks:
	for _, block := range Blocks(name, page) {
		for _, source := range sources {
			if strings.Contains(lines(source), lines(block)) {
				continue blocks
			}
		}
		missing = append(missing, block)
	}
	return missing
}

// Blocks are the blocks of code of a page, as Missing says.
func Blocks(name, page string) []string {
	inBlock := indented
	if filepath.Ext(name) == ".md" {
		inBlock = fenced()
	} else {
		page, _, _ = strings.Cut(page, "\npackage ")
		page += "\n"
	}
	var blocks []string
	open := false
	for line := range strings.Lines(page) {
		text, in := inBlock(line)
		if in && !open {
			blocks = append(blocks, "")
		}
		if open = in; in {
			blocks[len(blocks)-1] += text
		}
	}
	return blocks
}

func indented(line string) (text string, in bool) { return strings.CutPrefix(line, "//\t") }

func fenced() func(line string) (text string, in bool) {
	open := false
	return func(line string) (string, bool) {
		if strings.HasPrefix(line, "```") {
			open = !open
			return "", false
		}
		return line, open
	}
}

// lines is text without what does not count, and with a line break before and behind, so that only whole lines match.
func lines(text string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "//")); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
