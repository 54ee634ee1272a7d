package sensor

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"
)

// mount is one line of /proc/PID/mountinfo.
type mount struct{ point, kind, options string }

// parseMount reads a line: six fields, any number of optional ones, a lone hyphen,
// then type, source and the file system's own options (proc_pid_mountinfo(5)).
func parseMount(line []byte) (mount, bool) {
	fields := bytes.Fields(line)
	const point, options, optional = 4, 5, 6
	for i := optional; i < len(fields); i++ {
		if string(fields[i]) == "-" && i+1 < len(fields) {
			return mount{unescape(string(fields[point])), string(fields[i+1]), string(fields[options])}, true
		}
	}
	return mount{}, false
}

// unescape turns \040 and the like (blank, tab, newline, backslash) back.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// filesystemOf is type and mount options of what a folder lies on, "" if unknown.
// The folder need not exist yet.
func filesystemOf(mountinfo []byte, dir string) string {
	if dir == "" {
		return ""
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	// Links are followed as far as the path exists.
	for p, rest := path, ""; p != "/"; p, rest = filepath.Dir(p), filepath.Join(filepath.Base(p), rest) {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			path = filepath.Join(real, rest)
			break
		}
	}
	var best mount
	for line := range bytes.Lines(mountinfo) {
		// Of mounts on the same point the last one is on top.
		if m, ok := parseMount(line); ok && within(path, m.point) && len(m.point) >= len(best.point) {
			best = m
		}
	}
	return strings.TrimSpace(best.kind + " " + best.options)
}

func within(path, point string) bool {
	return point == "/" || path == point || strings.HasPrefix(path, point+"/")
}
