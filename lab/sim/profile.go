package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Counts are sums, or figures per request where the field says so.
type Counts struct {
	Instructions float64 `json:"instructions"`
	I1Misses     float64 `json:"i1_misses"`
	D1Misses     float64 `json:"d1_misses"`
	LLMisses     float64 `json:"ll_misses"`
}

func (c *Counts) add(o Counts) {
	c.Instructions += o.Instructions
	c.I1Misses += o.I1Misses
	c.D1Misses += o.D1Misses
	c.LLMisses += o.LLMisses
}

func (c Counts) over(n float64) Counts {
	return Counts{c.Instructions / n, c.I1Misses / n, c.D1Misses / n, c.LLMisses / n}
}

// place is a function in a file.
type place struct{ function, file string }

// profile is what one thread did in a window.
type profile struct {
	thread int
	total  Counts
	places map[place]Counts
}

var errProfile = errors.New("sim: cannot read callgrind's counts")

// profileReader reads callgrind's format (manual page callgrind-format, version 1),
// as far as callgrind itself writes it: costs by line, names compressed by number.
type profileReader struct {
	p      profile
	names  map[string]string // "fn(12)" to the name; files and functions are numbered apart
	events []string
	at     place
	called bool // the next line of costs is a call's, and counted in the callee already
	sized  bool
	line   int
}

// readProfile reads one dump of one thread.
func readProfile(r io.Reader) (*profile, error) {
	x := profileReader{p: profile{places: map[place]Counts{}}, names: map[string]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		x.line++
		if err := x.read(strings.TrimSpace(lines.Text())); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errProfile, x.line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", errProfile, err)
	}
	if !x.sized {
		return nil, fmt.Errorf("%w: it has no totals: the dump is not whole", errProfile)
	}
	return &x.p, nil
}

func (x *profileReader) read(line string) (err error) {
	if line == "" || line[0] == '#' {
		return nil
	}
	if c := line[0]; c >= '0' && c <= '9' || c == '+' || c == '-' || c == '*' {
		return x.costs(line)
	}
	if key, value, ok := strings.Cut(line, ": "); ok && !strings.Contains(key, "=") {
		return x.header(key, strings.TrimSpace(value))
	}
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		return nil // an empty header such as "desc:"
	}
	switch key {
	case "fl", "fi", "fe":
		x.at.file, err = x.name("file", value)
	case "fn":
		x.at.function, err = x.name("fn", value)
	case "cfl", "cfi":
		_, err = x.name("file", value)
	case "cfn":
		_, err = x.name("fn", value)
	case "calls":
		x.called = true
	}
	return err
}

func (x *profileReader) header(key, value string) (err error) {
	switch key {
	case "version":
		if value != "1" {
			return fmt.Errorf("version %q, want 1", value)
		}
	case "thread":
		x.p.thread, err = strconv.Atoi(value)
	case "events":
		x.events = strings.Fields(value)
	case "totals":
		x.sized = true
		x.p.total, err = x.counts(strings.Fields(value))
	}
	return err
}

// name resolves "(12) text", which defines, and "(12)", which refers.
func (x *profileReader) name(kind, value string) (string, error) {
	if !strings.HasPrefix(value, "(") {
		return value, nil
	}
	number, text, ok := strings.Cut(value, ")")
	if !ok {
		return "", fmt.Errorf("name %q has no end of its number", value)
	}
	if text = strings.TrimSpace(text); text != "" {
		x.names[kind+number] = text
		return text, nil
	}
	text, ok = x.names[kind+number]
	if !ok {
		return "", fmt.Errorf("name %s) was not given before", number)
	}
	return text, nil
}

func (x *profileReader) costs(line string) error {
	if x.called {
		x.called = false
		return nil
	}
	fields := strings.Fields(line)
	c, err := x.counts(fields[1:])
	if err != nil {
		return err
	}
	sum := x.p.places[x.at]
	sum.add(c)
	x.p.places[x.at] = sum
	return nil
}

// counts are by the names of events; those at the end that are 0 are left out by
// callgrind.
func (x *profileReader) counts(fields []string) (c Counts, err error) {
	if len(fields) > len(x.events) {
		return c, fmt.Errorf("%d counts for %d events", len(fields), len(x.events))
	}
	for i, f := range fields {
		n, err := strconv.ParseUint(f, 10, 63)
		if err != nil {
			return c, err
		}
		switch v := float64(n); x.events[i] {
		case "Ir":
			c.Instructions += v
		case "I1mr":
			c.I1Misses += v
		case "D1mr", "D1mw":
			c.D1Misses += v
		case "ILmr", "DLmr", "DLmw":
			c.LLMisses += v
		}
	}
	return c, nil
}
