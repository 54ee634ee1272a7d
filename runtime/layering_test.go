package runtime_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The rules by which the house is laid out, as tests: who may import whom, what
// lies at the top, how long a function may be.

const module = "github.com/syslet/syslet"

// top is what the module's top level may hold beside hidden files.
var top = []string{"runtime", "uring", "threadlet", "models", "workloads", "lab", "reports", "cmd", "go.mod", "go.sum", "README.md"}

// heavy are libraries that an embedder must not get: plots, histograms, CLI, statistics.
var heavy = []string{"gonum.org/", "github.com/HdrHistogram/", "github.com/spf13/", "github.com/vbauerster/", "golang.org/x/perf",
	"github.com/prometheus/"}

// layer says what the packages under a path must not depend on, directly or not.
type layer struct {
	under []string // of the module; all packages below
	never []string // of the module, and below; "" is the whole module
	but   []string // of never, allowed after all
	heavy bool     // nor on heavy libraries
}

// leaves lie beneath runtime, uring and threadlet, of which none knows the others.
var leaves = []string{"runtime/blocking", "runtime/perfring"}

var layers = []layer{
	{under: leaves, never: []string{""}, but: leaves, heavy: true},
	{under: []string{"uring"}, never: []string{""}, but: append([]string{"uring"}, leaves...), heavy: true},
	{under: []string{"threadlet"}, never: []string{""}, but: append([]string{"threadlet"}, leaves...), heavy: true},
	{under: []string{"runtime"}, never: []string{""}, but: []string{"runtime"}, heavy: true},
	{under: []string{"models"}, never: []string{"workloads", "lab", "reports", "cmd"}, heavy: true},
	{under: []string{"workloads"}, never: []string{"models", "uring", "threadlet", "lab", "reports", "cmd"}},
	{under: []string{"lab"}, never: []string{"reports", "cmd"}},
	{under: []string{"reports"}, never: []string{""}, but: []string{"reports", "lab/result", "lab/stats"}},
}

// pkg is what go list says of a package: without its tests.
type pkg struct {
	ImportPath string
	Deps       []string
	Module     *struct{ Path string }
}

func below(path, of string) bool {
	return of == "" || path == of || strings.HasPrefix(path, of+"/")
}

func belowAny(path string, of []string) bool {
	return slices.ContainsFunc(of, func(o string) bool { return below(path, o) })
}

// inside is a package's path in the module; ok is false for others'.
func inside(importPath string) (path string, ok bool) {
	path, ok = strings.CutPrefix(importPath, module+"/")
	return path, ok
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "go.mod"))
	return dir
}

// packages lists the module's packages with all that they depend on.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Deps,Module", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		if _, ok := inside(p.ImportPath); ok {
			all = append(all, p)
		}
	}
}

// breach says why a package of path must not depend on dep, or "".
func (l *layer) breach(path, dep string) string {
	if d, ok := inside(dep); ok {
		if belowAny(d, l.never) && !belowAny(d, l.but) {
			return "of another layer"
		}
		return ""
	}
	testOnly := belowAny(path, []string{"runtime/conformance", "runtime/simdriver"})
	if l.heavy && !testOnly && slices.ContainsFunc(heavy, func(h string) bool { return strings.HasPrefix(dep, h) }) {
		return "too heavy for who embeds this"
	}
	return ""
}

func TestLayers(t *testing.T) {
	all, seen := packages(t), map[string]bool{}
	for _, p := range all {
		path, _ := inside(p.ImportPath)
		for i := range layers {
			l := &layers[i]
			if !belowAny(path, l.under) {
				continue
			}
			seen[l.under[0]] = true
			for _, dep := range p.Deps {
				if why := l.breach(path, dep); why != "" {
					t.Errorf("%s depends on %s: %s (DESIGN.md, the house)", path, dep, why)
				}
			}
		}
	}
	// A layer that is in the tree is in the list: none is passed over in silence.
	for i := range layers {
		dir := filepath.Join(root(t), layers[i].under[0])
		if _, err := os.Stat(dir); err == nil && !seen[layers[i].under[0]] && holdsGo(t, dir) {
			t.Errorf("%s holds Go files and go list does not name it", dir)
		}
	}
}

// The rules themselves: each catches what it is for.
func TestLayerRules(t *testing.T) {
	for _, c := range []struct {
		from, to string
		wrong    bool
	}{
		{"uring", module + "/runtime", true}, {"uring", module + "/threadlet", true}, {"uring", "golang.org/x/sys/unix", false},
		{"runtime", module + "/uring", true}, {"runtime", module + "/models", true}, {"runtime/simdriver", module + "/runtime", false},
		{"models/iouring", module + "/uring", false}, {"models", "gonum.org/v1/plot", true}, {"threadlet", "github.com/spf13/cobra", true},
		{"workloads/game", module + "/models/nonblock", true}, {"workloads/game", module + "/runtime", false},
		{"reports", module + "/lab/result", false}, {"reports", module + "/lab/stats", false}, {"reports", module + "/lab/trial", true},
		{"reports", module + "/runtime", true}, {"lab/load", module + "/models", false}, {"lab", module + "/reports", true},
		{"runtime", module + "/runtimely", true}, {"runtime/perfring", module + "/runtime/conformance", true}, {"runtime", module + "/runtime/blocking", false},
		{"threadlet", module + "/runtime/blocking", false}, {"threadlet", module + "/runtime", true}, {"runtime", module + "/threadlet", true},
		{"runtime/blocking", module + "/runtime", true}, {"runtime/blocking", "golang.org/x/sys/unix", false},
		{"uring", module + "/runtime/blocking", false},
	} {
		wrong := slices.ContainsFunc(layers, func(l layer) bool { return belowAny(c.from, l.under) && l.breach(c.from, c.to) != "" })
		require.Equal(t, c.wrong, wrong, "%s on %s", c.from, c.to)
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root(t))
	require.NoError(t, err)
	ignored, err := os.ReadFile(filepath.Join(root(t), ".gitignore"))
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	products := strings.Fields(string(ignored)) // what a build or a run leaves: /name or /name/
	for _, e := range entries {
		name := e.Name()
		product := slices.Contains(products, "/"+name) || slices.Contains(products, "/"+name+"/")
		if !strings.HasPrefix(name, ".") && !product && !slices.Contains(top, name) {
			t.Errorf("%s at the top level: DESIGN.md names %v and nothing else", name, top)
		}
	}
}

// goFiles calls f with each Go file of the module, nested modules left out.
func goFiles(t *testing.T, dir string, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // an editor's temporary file
		case err != nil:
			return err
		case d.IsDir() && path != dir:
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
		case strings.HasSuffix(path, ".go"):
			f(path)
		}
		return nil
	})
	require.NoError(t, err)
}

func holdsGo(t *testing.T, dir string) (found bool) {
	goFiles(t, dir, func(path string) { found = found || !strings.HasSuffix(path, "_test.go") })
	return found
}

const (
	functionLinesMax = 70
	fileLinesMax     = 600
)

func TestFilesAndFunctions(t *testing.T) {
	set, n := token.NewFileSet(), 0
	goFiles(t, root(t), func(path string) {
		n++
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if nice, err := format.Source(text); err != nil {
			t.Errorf("%s: %v", path, err)
			return
		} else if !bytes.Equal(nice, text) {
			t.Errorf("%s: not as gofmt has it", path)
		}
		if lines := bytes.Count(text, []byte("\n")); lines > fileLinesMax {
			t.Errorf("%s: %d lines, at most %d", path, lines, fileLinesMax)
		}
		file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			if fn, ok := node.(*ast.FuncDecl); ok {
				if lines := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; lines > functionLinesMax {
					t.Errorf("%s: %s has %d lines, at most %d", set.Position(fn.Pos()), fn.Name.Name, lines, functionLinesMax)
				}
			}
			return true
		})
	})
	require.Greater(t, n, 20, "the walk did not find the module")
}
