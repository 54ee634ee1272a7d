package compare

import (
	"fmt"
	"math"
	"strings"

	"github.com/syslet/syslet/lab/stats"
)

// The words that every output shares.

// size is the change with its interval: "+12.3 % [+8.1 %, +16 %]".
func (c *Change) size() string {
	if !c.hasRatio() {
		return fmt.Sprintf("%+.4g %s [%+.4g, %+.4g], no ratio: a value is not positive", c.Shift.By, c.Unit, c.Shift.Lo, c.Shift.Hi)
	}
	if c.Ratio.Reached <= 0 {
		return relative(c.Ratio.Ratio)
	}
	return fmt.Sprintf("%s [%s, %s]", relative(c.Ratio.Ratio), relative(c.Ratio.Lo), relative(c.Ratio.Hi))
}

// relative is a ratio as a signed percentage; beyond a factor of three as a factor.
func relative(ratio float64) string {
	if ratio >= 3 || ratio <= 1.0/3 {
		return fmt.Sprintf("x%.3g", ratio)
	}
	return fmt.Sprintf("%+.3g %%", math.Round((ratio-1)*1e4)/100)
}

func percent(share float64) string { return fmt.Sprintf("%.3g %%", math.Round(share*1e4)/100) }

// chance is the corrected p.
func chance(p float64) string {
	if p < 0.001 {
		return "p<0.001"
	}
	return fmt.Sprintf("p=%.3f", p)
}

// remark is what the verdict alone does not say.
func (c *Change) remark() string {
	switch c.Verdict {
	case Regression, Improvement, Different:
		return c.boundWords()
	case WithinNoise:
		return "significant, but below the " + c.boundWords()
	case TooFew:
		return fmt.Sprintf("%d rounds against %d", c.Base.N, c.New.N)
	}
	if r, ok := c.Resolution(); ok {
		return "these rounds would show " + percent(r)
	}
	return "these rounds scatter too much to show anything"
}

func (c *Change) boundWords() string {
	if c.Bound == c.Measured {
		return "noise bound " + percent(c.Bound) + ": BASE's own"
	}
	return "noise bound " + percent(c.Bound)
}

// Summary is the outcome in one line.
func (r *Report) Summary() string {
	if r.Family == 0 {
		return "Nothing to compare: the runs have no metric of a cell in common."
	}
	parts := []string{plural(r.Count(Regression), "regression"), plural(r.Count(Improvement), "improvement")}
	for _, v := range []Verdict{Different, WithinNoise, NotShown, TooFew} {
		if n := r.Count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	return fmt.Sprintf("%s: %s. Each p is corrected for all of them (Holm), at %s.", plural(r.Family, "comparison"), strings.Join(parts, ", "), stats.Percent(stats.Confidence))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Undecided says which comparisons could not have shown anything, and what would
// help; empty if there are none.
func (r *Report) Undecided() string {
	n := r.Count(TooFew)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("too few rounds for %d of %s: no difference of whatever size could have been shown; it takes %d rounds of each run, or fewer comparisons (--metrics, --only)",
		n, plural(r.Family, "comparison"), RoundsNeeded(r.Family))
}

// String is "10 trials (1 suspect), 2 invalid and not counted".
func (t Tally) String() string {
	text := plural(t.Counted(), "trial")
	if t.Suspect > 0 {
		text += fmt.Sprintf(" (%d suspect)", t.Suspect)
	}
	if t.Invalid > 0 {
		text += fmt.Sprintf(", %d invalid and not counted", t.Invalid)
	}
	return text
}

func (s Side) words(name string) string {
	parts := []string{s.Trials.String()}
	if s.Commit != "" {
		parts = append(parts, "commit "+s.Commit)
	}
	if !s.Start.IsZero() {
		parts = append(parts, s.Start.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return fmt.Sprintf("%s %s: %s", name, s.Dir, strings.Join(parts, ", "))
}

// words is "game-mix nonblock, rss: only in BASE".
func (l Left) words() string {
	what := l.Cell
	if l.Metric != "" {
		what += ", " + l.Metric
	}
	return what + ": " + l.Why
}
