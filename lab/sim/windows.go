package sim

import (
	"context"
	"errors"
	"fmt"
)

// A start's windows: of each count the median is taken over wantWindows that were not
// disturbed. Others are discarded, counted, and taken again, up to mostWindows in all.
const (
	wantWindows   = 5
	fewestWindows = 3
	mostWindows   = 20
)

// errDisturbed says that a start has too few windows that were not disturbed: another
// start may have them.
var errDisturbed = errors.New("sim: the windows of this start were disturbed")

// window is what was counted over some requests.
type window struct {
	profiles []*profile
	requests float64
	monitor  monitor
	// frozen: Go's monitor was stopped from the first request to the last; stalls are
	// the answers that came only when it was let go.
	frozen bool
	stalls int
}

// perRequest is of all threads but Go's monitor.
func (w *window) perRequest() (c Counts) {
	for _, p := range w.profiles {
		if p.thread != w.monitor.thread {
			c.add(p.total)
		}
	}
	return c.over(w.requests)
}

// strayInstructions per request are too few for a thread that has a part in each: less
// than one system call takes.
const strayInstructions = 20

// stray reports whether a thread ran that has no part in each request: one that the
// clock woke, or that was started late.
func (w *window) stray() bool {
	for _, p := range w.profiles {
		if n := p.total.Instructions; p.thread != w.monitor.thread && n > 0 && n < strayInstructions*w.requests {
			return true
		}
	}
	return false
}

// Discarded is what was not counted because something disturbed it.
type Discarded struct {
	// Starts of the server of which no figure was taken.
	Starts int `json:"starts"`
	// Windows by cause: Go's monitor thread could not be stopped; an answer came only
	// when it was let go; more instructions than the median of the start's windows by
	// half a percent.
	Running int `json:"running"`
	Stalled int `json:"stalled"`
	Outlier int `json:"outlier"`
	// Stray: a thread that has no part in each request ran.
	Stray int `json:"stray"`
}

// Windows that were discarded, of all causes.
func (d Discarded) Windows() int { return d.Running + d.Stalled + d.Outlier + d.Stray }

func (d *Discarded) add(o Discarded) {
	d.Starts, d.Running, d.Stalled = d.Starts+o.Starts, d.Running+o.Running, d.Stalled+o.Stalled
	d.Outlier, d.Stray = d.Outlier+o.Outlier, d.Stray+o.Stray
}

// String names the causes that there were.
func (d Discarded) String() string {
	return fmt.Sprintf("%d with Go's monitor thread not stopped, %d with an answer that came only when it was let go, %d with threads that ran for no request, %d with more instructions than the median by %g %%",
		d.Running, d.Stalled, d.Stray, d.Outlier, 100*repeatsWithin)
}

// start is what one start of the server gave.
type start struct {
	kept      []*window
	discarded Discarded
}

// judge discards the windows that were disturbed.
func judge(all []*window) (s start) {
	var quiet []*window
	var counts []Counts
	for _, w := range all {
		switch {
		case w.stalls > 0:
			s.discarded.Stalled++
		case !w.frozen:
			s.discarded.Running++
		case w.stray():
			s.discarded.Stray++
		default:
			quiet, counts = append(quiet, w), append(counts, w.perRequest())
		}
	}
	if len(quiet) == 0 {
		return s
	}
	limit := medianOf(counts).Instructions * (1 + repeatsWithin)
	for i, w := range quiet {
		if counts[i].Instructions > limit {
			s.discarded.Outlier++
			continue
		}
		s.kept = append(s.kept, w)
	}
	return s
}

// counter counts the windows of one start, on the thread that traces.
type counter struct {
	g       *guest
	p       *player
	cfg     *Config
	monitor monitor
	freezer freezer
	stalls  int
}

// count takes windows until there are enough that were not disturbed.
func (c *counter) count(ctx context.Context) (*start, error) {
	var all []*window
	var s start
	for len(s.kept) < wantWindows && len(all) < mostWindows {
		w, err := c.window(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
		s = judge(all)
	}
	if len(s.kept) < fewestWindows {
		return nil, fmt.Errorf("%w: %d of %d windows: %v", errDisturbed, s.discarded.Windows(), len(all), s.discarded)
	}
	return &s, nil
}

// window counts one, from the end of the last. With the monitor stopped an answer may
// need it: it is let go then, and the window is lost.
func (c *counter) window(ctx context.Context) (*window, error) {
	w := &window{monitor: c.monitor}
	c.stalls = 0
	c.p.stalled = func() { c.stalls++; c.freezer.thaw() }
	if !c.freezer.frozen {
		if err := c.begin(ctx); err != nil {
			return nil, err
		}
	}
	if w.stalls, w.frozen = c.stalls, c.freezer.frozen; !w.frozen {
		return w, nil
	}
	if c.cfg.inWindow != nil {
		c.cfg.inWindow()
	}
	if err := c.p.play(c.cfg.Requests); err != nil {
		return nil, err
	}
	profiles, nudges, err := c.g.dump(ctx, c.nudge) // zeroes, too
	if err != nil {
		return nil, err
	}
	// The last nudge's front is in this window, its rest in the next.
	w.profiles, w.requests, w.stalls = profiles, float64(c.cfg.Requests+nudges), c.stalls
	return w, nil
}

// begin stops the monitor, if that can be done now, and begins to count.
func (c *counter) begin(ctx context.Context) error {
	stopped, err := c.freezer.freeze()
	if err != nil {
		return err
	}
	if err := c.p.play(settleSteps); err != nil || !stopped {
		return err
	}
	_, err = c.g.askNudged(ctx, "zero", c.nudge)
	return err
}

// nudge sends one request while the simulator is asked something: it may take its time.
func (c *counter) nudge() error {
	was := c.p.stalled
	c.p.stalled = func() {}
	defer func() { c.p.stalled = was }()
	return c.p.play(1)
}
