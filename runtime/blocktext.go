package runtime

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

func (b *headBlocks) counting(s *Shard) BlockCounting {
	c := BlockCounting{Shard: s.index, Method: BlocksOff, ThresholdNs: b.thresholdNs}
	b.mu.Lock()
	if b.on {
		c.Method, c.SensedNs = b.method, b.sense.sensedNs(nanotime())
		if c.Method == BlocksSampled {
			c.Why = b.why
		}
	}
	c.RecordsLost, c.OwnStops = b.lost, b.own
	b.mu.Unlock()
	b.table.mu.Lock()
	defer b.table.mu.Unlock()
	c.Overflow, c.Totals = b.table.overflow, b.table.totals
	for k := range c.Totals {
		c.Totals[k].Kind = BlockKind(k)
	}
	return c
}

// String is the report as text.
func (r BlockReport) String() string {
	var b strings.Builder
	_, _ = r.WriteTo(&b)
	return b.String()
}

// WriteTo writes the report as text: how blocks were counted, then a line for
// each site, the longest total first:
//
//	callback  shard 0  main.(*app).Data  app.go:41  in unix.Nanosleep  17 blocks  total 68.3ms  p50 4.1ms  max 4.3ms
func (r BlockReport) WriteTo(w io.Writer) (int64, error) {
	c := countingWriter{w: w}
	for _, s := range r.Shards {
		fmt.Fprintln(&c, s.String())
	}
	if r.Samples > 0 {
		fmt.Fprintf(&c, "%d stacks taken, %v each\n", r.Samples, roundNs(r.SampleNs/r.Samples))
	}
	if len(r.Sites) == 0 {
		fmt.Fprintln(&c, "no block")
		return c.n, c.err
	}
	t := tabwriter.NewWriter(&c, 0, 0, 2, ' ', 0)
	for i := range r.Sites {
		fmt.Fprintln(t, r.Sites[i].row("\t"))
	}
	_ = t.Flush() // the error, if any, is c's
	return c.n, c.err
}

// String is one line of text.
func (b *BlockSite) String() string { return b.row("  ") }

func (b *BlockSite) row(sep string) string {
	where, call := "", ""
	if b.File != "" {
		where = fmt.Sprintf("%s:%d", filepath.Base(b.File), b.Line)
	}
	if b.Call != "" {
		call = "in " + b.Call
	}
	unit := "blocks"
	if b.Kind == BlockStall {
		unit = "stalls"
	}
	return strings.Join([]string{b.Kind.String(), fmt.Sprintf("shard %d", b.Shard), b.ShortFunction(), where, call,
		fmt.Sprintf("%d %s", b.Count, unit), "total " + roundNs(b.TotalNs), "p50 " + roundNs(uint64(b.QuantileNs(0.5))),
		"max " + roundNs(b.MaxNs)}, sep)
}

// ShortFunction is Function without the path of its package.
func (b *BlockPlace) ShortFunction() string { return shortFunction(b.Function) }

// Describe says how blocks were counted, in words, and what was not.
func (c *BlockCounting) Describe() string {
	var b strings.Builder
	threshold := time.Duration(c.ThresholdNs)
	switch c.Method {
	case BlocksBySwitch:
		fmt.Fprintf(&b, "every block is counted, by the kernel's switch records; those over %v get a line", threshold)
	case BlocksAdaptive:
		fmt.Fprintf(&b, "blocks over %v are counted; shorter ones, too, and all exactly, while the kernel's switch records are read (for %s)",
			threshold, roundNs(uint64(c.SensedNs)))
	case BlocksSampled:
		fmt.Fprintf(&b, "only what held the loop for over %v is counted, with the length of the callback (no switch records: %s)", threshold, c.Why)
	default:
		b.WriteString("no block profile (Options.BlockThreshold)")
	}
	for _, x := range []struct {
		n    uint64
		what string
	}{
		{c.Overflow, "blocks in no line of their own: the table was full"},
		{c.RecordsLost, "bytes of records lost"},
		{c.OwnStops, "short ones while a stack was taken, not counted"},
	} {
		if x.n > 0 {
			fmt.Fprintf(&b, "; %d %s", x.n, x.what)
		}
	}
	return b.String()
}

// String is one line of text.
func (c *BlockCounting) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shard %d: %s", c.Shard, c.Describe())
	for _, k := range c.Totals {
		if k.Count > 0 {
			fmt.Fprintf(&b, "; %s: %d, total %s, max %s", k.Kind, k.Count, roundNs(k.TotalNs), roundNs(k.MaxNs))
		}
	}
	return b.String()
}

// roundNs shows a length with three digits.
func roundNs(ns uint64) string {
	d := time.Duration(ns)
	for unit := time.Duration(1); unit < time.Hour; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.String()
}

// countingWriter keeps what io.WriterTo has to return.
type countingWriter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.n, c.err = c.n+int64(n), err
	return n, err
}
