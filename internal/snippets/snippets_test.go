package snippets_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/fxkit/fxkit/internal/snippets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const doc = `// Package p does this.
//
//	a := 1
//	b := 2
//
// And that:
//
//	c()
//		more
package p

//	not of the package comment
var x = 1
`

const page = "text\n```go\na := 1\n\nb := 2\n```\nmore\n```\nc()\n```\n"

func TestBlocks(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"a := 1\nb := 2\n", "c()\n\tmore\n"}, snippets.Blocks("doc.go", doc))
	assert.Equal(t, []string{"a := 1\n\nb := 2\n", "c()\n"}, snippets.Blocks("page.md", page))
}

func TestMissing(t *testing.T) {
	t.Parallel()
	assert.Empty(t, snippets.Missing("doc.go", doc, "func Example() {\n\ta := 1\n\n\tb := 2\n\t// Output:\n\t// c()\n\t// more\n}"))
	assert.Empty(t, snippets.Missing("page.md", page, "a := 1\nb := 2\n", "x\n\tc()\ny\n"), "in any of the sources")
	for name, source := range map[string]string{
		"other code":         "a := 1\nb := 3\nc()\n",
		"another order":      "b := 2\na := 1\nc()\n",
		"something between":  "a := 1\nx\nb := 2\nc()\n",
		"a part of one line": "aa := 1\nb := 2\nc()\n",
		"half of it":         "a := 1\nc()\n",
	} {
		assert.Equal(t, []string{"a := 1\n\nb := 2\n"}, snippets.Missing("page.md", page, source), name)
	}
}
