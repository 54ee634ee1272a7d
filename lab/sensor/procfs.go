package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// The parsers of /proc (proc(5)). They take a file's bytes, so that a test can
// give them any text, and refuse what they do not understand.

// procBytes is room for one file of a thread.
const procBytes = 8 << 10

// readProc reads a small file of /proc into b, in three system calls instead of
// the seven of os.ReadFile: with a file per thread, at the very ends of the window,
// that is half of what a reading costs.
func readProc(path string, b []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, b)
	switch {
	case err != nil:
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	case n == len(b):
		return os.ReadFile(path)
	}
	return b[:n], nil
}

// threadStatus is what we want of /proc/PID/task/TID/status.
type threadStatus struct {
	// name is the thread's comm, at most 15 bytes; the kernel writes newline and
	// backslash as \n and \\.
	name                   string
	voluntary, involuntary uint64
}

func parseThreadStatus(text []byte) (threadStatus, error) {
	var s threadStatus
	var seen int
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		value = bytes.TrimSuffix(value, []byte("\n"))
		var err error
		switch string(key) {
		case "Name":
			// One tab, then the name, which may itself begin or end with blanks.
			s.name = string(bytes.TrimPrefix(value, []byte("\t")))
			seen |= 1
		case "voluntary_ctxt_switches":
			s.voluntary, err = parseCount(value)
			seen |= 2
		case "nonvoluntary_ctxt_switches":
			s.involuntary, err = parseCount(value)
			seen |= 4
		}
		if err != nil {
			return threadStatus{}, fmt.Errorf("status: %s: %w", key, err)
		}
	}
	if seen != 7 {
		return threadStatus{}, errors.New("status: no Name, voluntary_ctxt_switches or nonvoluntary_ctxt_switches")
	}
	return s, nil
}

func parseCount(b []byte) (uint64, error) {
	return strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64)
}

// processStat is what we want of /proc/PID/stat.
type processStat struct {
	comm                   string
	userTicks, systemTicks uint64
	threads                uint64
}

// parseProcessStat: the second field is the comm in parentheses, and may itself
// hold blanks and parentheses, so it ends at the last one.
func parseProcessStat(text []byte) (processStat, error) {
	var s processStat
	open, shut := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return s, errors.New("stat: no command in parentheses")
	}
	s.comm = string(text[open+1 : shut])
	rest := bytes.Fields(text[shut+1:])
	// rest[0] is field 3 (state); utime is field 14, stime 15, num_threads 20.
	const first, utime, stime, threads = 3, 14, 15, 20
	if len(rest) <= threads-first {
		return s, fmt.Errorf("stat: %d fields after the command, too few", len(rest))
	}
	for _, field := range []struct {
		number int
		to     *uint64
	}{{utime, &s.userTicks}, {stime, &s.systemTicks}, {threads, &s.threads}} {
		v, err := parseCount(rest[field.number-first])
		if err != nil {
			return s, fmt.Errorf("stat: field %d: %w", field.number, err)
		}
		*field.to = v
	}
	return s, nil
}

// parseSmapsRollup returns the bytes of the line "Rss: N kB" (Linux 4.14).
func parseSmapsRollup(text []byte) (rssBytes uint64, err error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("Rss:")); ok {
			return parseKB(value)
		}
	}
	return 0, errors.New("smaps_rollup: no Rss")
}

// parseKB reads "N kB" and returns bytes.
func parseKB(value []byte) (uint64, error) {
	number, ok := bytes.CutSuffix(bytes.TrimSpace(value), []byte(" kB"))
	if !ok {
		return 0, fmt.Errorf("%q is no size in kB", value)
	}
	kb, err := parseCount(number)
	if err != nil {
		return 0, err
	}
	if kb > 1<<53 {
		return 0, fmt.Errorf("%d kB is out of range", kb)
	}
	return kb << 10, nil
}

// parseStatm returns the second field, resident pages, in bytes.
func parseStatm(text []byte, pageBytes uint64) (rssBytes uint64, err error) {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, errors.New("statm: fewer than two fields")
	}
	pages, err := parseCount(fields[1])
	if err != nil {
		return 0, fmt.Errorf("statm: %w", err)
	}
	if pages > 1<<52 {
		return 0, fmt.Errorf("statm: %d pages is out of range", pages)
	}
	return pages * pageBytes, nil
}

// parseMemTotal returns the bytes of "MemTotal" in /proc/meminfo.
func parseMemTotal(text []byte) (uint64, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("MemTotal:")); ok {
			return parseKB(value)
		}
	}
	return 0, errors.New("meminfo: no MemTotal")
}

// cpuTicks are times of one CPU of /proc/stat, in ticks.
type cpuTicks struct{ all, idle, steal uint64 }

// parseCPUTicks returns the lines "cpuN" of /proc/stat by number. Guest times are
// part of user and nice already, so all is the sum of the first eight.
func parseCPUTicks(text []byte) (map[int]cpuTicks, error) {
	cpus := map[int]cpuTicks{}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		digits, ok := bytes.CutPrefix(fields[0], []byte("cpu"))
		if !ok || len(digits) == 0 {
			continue
		}
		number, err := strconv.Atoi(string(digits))
		if err != nil || number < 0 {
			return nil, fmt.Errorf("stat: %q is no CPU", fields[0])
		}
		const idle, iowait, steal, count = 4, 5, 8, 9
		if len(fields) < count {
			return nil, fmt.Errorf("stat: %s has %d fields, fewer than %d", fields[0], len(fields), count)
		}
		var c cpuTicks
		for i := 1; i < count; i++ {
			v, err := parseCount(fields[i])
			if err != nil {
				return nil, fmt.Errorf("stat: %s: %w", fields[0], err)
			}
			c.all += v
			switch i {
			case idle, iowait:
				c.idle += v
			case steal:
				c.steal = v
			}
		}
		cpus[number] = c
	}
	if len(cpus) == 0 {
		return nil, errors.New("stat: no line cpuN")
	}
	return cpus, nil
}
