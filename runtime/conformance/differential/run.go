// Package differential compares drivers with a reference. Random syslets run on
// a driver, several at once, and on a plain interpreter that makes one system
// call after another; both have a world of their own, made in the same way. They
// must leave the same registers, results, buffers, bytes at other ends, files
// and open descriptors, and a syslet must complete exactly as often as its
// outcome says: once if Queued, not at all if Completed or if it ended at an op
// with NoComplete.
//
// A program that tells the two apart is shrunk and printed, with its seed.
package differential

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/syslet/syslet/runtime"
)

// Config says how much to run. The zero value of a field means its default.
type Config struct {
	// Options of the server. Listen is loopback.
	Options runtime.Options
	// Seed of the first batch; the next has the next seed. Default: the time's.
	Seed uint64
	// Programs to run, at least; 0: as many as For allows.
	Programs int
	// For bounds the time, unless Programs is set. Default 500ms.
	For time.Duration
	// Dir is where the worlds are made. Default: the test's temporary directory.
	Dir string
	// Patience is how long a program may take. Default 20s.
	Patience time.Duration
	// ShrinkFor bounds the search for a smaller program. Default 30s.
	ShrinkFor time.Duration
}

func (c Config) withDefaults(t testing.TB) Config {
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano())
	}
	if c.For == 0 {
		c.For = 500 * time.Millisecond
	}
	if c.Patience == 0 {
		c.Patience = 20 * time.Second
	}
	if c.ShrinkFor == 0 {
		c.ShrinkFor = 30 * time.Second
	}
	if c.Options.Listen == "" {
		c.Options.Listen = "127.0.0.1:0"
	}
	return c
}

// root makes the directory of the worlds, and names it as /proc does.
func (c Config) root(t testing.TB) (string, error) {
	if c.Dir == "" {
		return filepath.EvalSymlinks(t.TempDir())
	}
	dir, err := os.MkdirTemp(c.Dir, "differential")
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.EvalSymlinks(dir)
}

// Tally is what a Run has run.
type Tally struct {
	Batches, Programs, Dropped int
	Ops                        uint64 // that the reference ran
	Queued, Completed, Silent  int    // outcomes of the driver; Silent are Queued and told nobody
	Took                       time.Duration
}

// String says it in a line, with rates.
func (y Tally) String() string {
	return fmt.Sprintf("%d programs (%d completed at once, %d queued, %d of them silent), %d ops in %d batches, %.1f s: %.0f programs/s; %d dropped",
		y.Programs, y.Completed, y.Queued, y.Silent, y.Ops, y.Batches, y.Took.Seconds(), float64(y.Programs)/y.Took.Seconds(), y.Dropped)
}

// batchMax bounds the programs that are in flight at once.
const batchMax = 8

// Run compares the driver that factory makes with the reference, until c's time
// or number of programs is used up or a difference is found; that fails t.
func Run(t testing.TB, factory runtime.DriverFactory, c Config) Tally {
	t.Helper()
	c = c.withDefaults(t)
	root, err := c.root(t)
	if err != nil {
		t.Fatalf("Config.Dir: %v", err)
	}
	h := &harness{config: c, factory: factory, root: root}
	if err := h.start(); err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	defer func() { h.stop(t) }()
	from := time.Now()
	for seed := c.Seed; ; seed++ {
		batch := draw(seed)
		h.apart = seed%2 == 0
		err := h.compare(batch)
		h.tally.Took = time.Since(from)
		if errors.Is(err, errProgram) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err != nil {
			t.Fatalf("%s", h.explain(t.Name(), seed, batch, err))
		}
		if c.Programs > 0 && h.tally.Programs >= c.Programs || c.Programs == 0 && h.tally.Took >= c.For {
			return h.tally
		}
	}
}

// draw makes the batch of a seed: a third of them are of one program.
func draw(seed uint64) (batch []*Program) {
	g := newGenerator(seed)
	n := 1
	if g.chance(66) {
		n = 2 + g.IntN(batchMax-1)
	}
	for len(batch) < n {
		batch = append(batch, g.program())
	}
	return batch
}
