// Package architecture_test keeps the house as ARCHITECTURE.md describes it: who may import whom.
package architecture_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const module = "github.com/fxkit/fxkit/"

// allowed lists, for each package, the packages of this module that it may import, internal/ aside, which everybody may.
// What is not listed here has no place in the house yet.
var allowed = map[string][]string{
	"fxconfig":          {},
	"fxlifecycle":       {},
	"fxqualifier":       {},
	"fxbackground":      {"fxconfig", "fxlifecycle"},
	"fxfactory":         {"fxconfig", "fxlifecycle"},
	"fxscope":           {"fxconfig", "fxlifecycle", "fxqualifier", "fxbackground"},
	"fxscope/grpcscope": {"fxscope"},
	"fxetcd":            {"fxconfig", "fxlifecycle", "fxfactory"},
	"fxetcd/embedded":   {"fxconfig", "fxlifecycle", "fxfactory", "fxetcd"},
	"fxetcd/etcdtest":   {"fxetcd", "fxetcd/embedded"},
	"fxetcd/watch":      {},
	"fxetcd/registry":   {"fxconfig", "fxlifecycle", "fxfactory", "fxetcd", "fxetcd/watch"},
	"fxetcd/exclusive":  {"fxconfig", "fxlifecycle", "fxfactory", "fxetcd"},
	"internal":          {},
}

func TestNoPackageImportsUpwards(t *testing.T) {
	t.Parallel()
	root := "../.."
	files := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bench" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		files++
		relative, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(relative)
		if strings.HasPrefix(pkg, "internal/") || strings.Contains(pkg, "/internal/") {
			pkg = "internal"
		}
		if strings.HasPrefix(pkg, "examples/") || strings.HasPrefix(pkg, "docs/") {
			return nil // they may import anything
		}
		may, known := allowed[pkg]
		if !assert.True(t, known, "package %s has no place in the house: add it to this table and to ARCHITECTURE.md", pkg) {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			name, ours := strings.CutPrefix(imported, module)
			if !ours || strings.HasPrefix(name, "internal/") || strings.Contains(name, "/internal/") {
				continue
			}
			assert.True(t, slices.Contains(may, name), "%s imports %s, but %s may import only %v of this module",
				path.Base(file), name, pkg, may)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, files, 10, "the walk has found the module")
}
