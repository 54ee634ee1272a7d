package yardstick

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// mainModule is the module in whose tree the peers' sources lie.
const mainModule = "github.com/syslet/syslet"

// sourceTree is the folder lab/peers of the tree in which we run: at or above the
// working folder, or the executable's.
var sourceTree = sync.OnceValues(func() (string, error) {
	var from []string
	if dir, err := os.Getwd(); err == nil {
		from = append(from, dir)
	}
	if exe, err := os.Executable(); err == nil {
		from = append(from, filepath.Dir(exe))
	}
	for _, dir := range from {
		if root, ok := moduleRoot(dir); ok {
			return filepath.Join(root, "lab", "peers"), nil
		}
	}
	return "", errors.New("no source tree: run syslet in a checkout of " + mainModule)
})

// moduleRoot is the nearest folder at or above dir with the main module's go.mod.
func moduleRoot(dir string) (string, bool) {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			for line := range strings.Lines(string(text)) {
				if strings.TrimSpace(line) == "module "+mainModule {
					return dir, true
				}
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// sources is a folder below lab/peers; it must hold something to build.
func sources(sub, must string) (string, error) {
	tree, err := sourceTree()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(tree, sub)
	if _, err := os.Stat(filepath.Join(dir, must)); err != nil {
		return "", fmt.Errorf("the source tree has no %s", filepath.Join("lab", "peers", sub, must))
	}
	return dir, nil
}

// cached is the place of an executable that is made of the files of a folder
// (names of skip left out, tests too) by a tool: the same sources and tool give the
// same place, so that nothing is built twice and nothing old is run.
func cached(dir, name string, skip []string, tool ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		// No home: a folder for this boot will do.
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("cache-%d", os.Getuid()))
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %q\n", name, tool)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(dir, path)
		switch {
		case err != nil || relErr != nil:
			return errors.Join(err, relErr)
		case d.IsDir():
			for _, s := range skip {
				if rel == s {
					return fs.SkipDir
				}
			}
			return nil
		case !d.Type().IsRegular() || strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		return hashFile(sum, rel, path)
	})
	if err != nil {
		return "", fmt.Errorf("read the sources of %s: %w", name, err)
	}
	at := filepath.Join(cache, "syslet", "yardstick", hex.EncodeToString(sum.Sum(nil)[:12]))
	if err := os.MkdirAll(at, 0o755); err != nil {
		return "", fmt.Errorf("no cache folder for %s (set XDG_CACHE_HOME): %w", name, err)
	}
	return filepath.Join(at, name), nil
}

func hashFile(sum io.Writer, rel, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(sum, "%q\n", rel)
	_, err = io.Copy(sum, f)
	return err
}
