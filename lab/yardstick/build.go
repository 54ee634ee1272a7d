package yardstick

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// buildTimeout bounds a build, the download of modules included.
const buildTimeout = 5 * time.Minute

// made remembers what was built or failed in this process: the several names of
// one executable must not build, or fail, several times.
var made struct {
	sync.Mutex
	done map[string]error
}

// build runs a tool that writes an executable, unless it is there. argv must have
// "{out}" where the tool is told to write.
func build(ctx context.Context, path, dir string, env []string, argv ...string) error {
	made.Lock()
	defer made.Unlock()
	if err, ok := made.done[path]; ok {
		return err
	}
	err := buildOnce(ctx, path, dir, env, argv)
	if ctx.Err() == nil {
		if made.done == nil {
			made.done = map[string]error{}
		}
		made.done[path] = err
	}
	return err
}

func buildOnce(ctx context.Context, path, dir string, env, argv []string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	// Written beside and renamed, so that whoever else finds it finds it whole.
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(tmp)
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0])
	for _, a := range argv[1:] {
		cmd.Args = append(cmd.Args, strings.ReplaceAll(a, "{out}", tmp))
	}
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s does not build: %w: %s", filepath.Base(path), err, firstComplaint(said.String()))
	}
	return os.Rename(tmp, path)
}

// firstComplaint is the line of a tool's output that says what is wrong: the
// first with "error", or the first that is no heading.
func firstComplaint(said string) string {
	first := ""
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "go: downloading") {
			continue
		}
		if strings.Contains(line, "error") {
			return line
		}
		if first == "" {
			first = line
		}
	}
	return first
}
