package fromtegg_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/internal/snippets"
)

const pageName = "../from-tegg.md"

// A snippet of the page is the body of an example, all of it, or declarations that the examples use.
func TestPage_shows_the_examples_and_nothing_else(t *testing.T) {
	t.Parallel()
	page, shop := read(t, pageName), read(t, "shop_test.go")
	bodies := exampleBodies(t, "example_test.go")
	blocks := snippets.Blocks(pageName, page)
	require.Greater(t, len(bodies), 10)
	var shown []string
	for _, block := range blocks {
		if name, ok := bodies[block]; ok {
			shown = append(shown, name)
			continue
		}
		fenced := "```go\n" + block + "```\n"
		assert.Empty(t, snippets.Missing(pageName, fenced, shop), "neither the body of an example nor of shop_test.go")
	}
	assert.ElementsMatch(t, slices.Collect(maps.Values(bodies)), shown, "each example is on the page once, as it is")
}

func TestPage_links_lead_somewhere(t *testing.T) {
	t.Parallel()
	page := read(t, pageName)
	var anchors []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		anchors = append(anchors, strings.ReplaceAll(anchor, " ", "-"))
	}
	links := regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(page, -1)
	require.Len(t, links, 14, "one row for each concept")
	for _, link := range links {
		assert.Contains(t, anchors, link[1])
	}
	assert.DirExists(t, "../fromtegg")
}

// exampleBodies are the names of the examples by their statements and output, without the indentation of the function.
func exampleBodies(t *testing.T, name string) map[string]string {
	t.Helper()
	source := read(t, name)
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, source, 0)
	require.NoError(t, err)
	bodies := make(map[string]string)
	for _, decl := range parsed.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Example") {
			from, to := files.Position(fn.Body.Lbrace).Offset, files.Position(fn.Body.Rbrace).Offset
			body := source[from+2 : to]
			assert.Contains(t, body, "// Output:", "%s would not run", fn.Name.Name)
			bodies[regexp.MustCompile(`(?m)^\t`).ReplaceAllString(body, "")] = fn.Name.Name
		}
	}
	return bodies
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}
