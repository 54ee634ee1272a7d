package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// ranked is a model's place for one key at one level.
type ranked struct {
	model string
	cell  *cell
	// against relates this model to the first of the ranking, and tested is that
	// comparison among its family. Unused for the first itself.
	against stats.Comparison
	tested  tested
}

// ranking is the order of the models by their medians, best first. Models
// without a value are not in it.
type ranking struct {
	key   key
	level string
	rows  []ranked
}

// rank orders v's models, each comparison corrected for its family. For a key of
// which neither way is better it is empty.
func (v *view) rank(k key, levelText string) ranking {
	r := v.order(k, levelText)
	for i := range r.rows[min(1, len(r.rows)):] {
		row := &r.rows[i+1]
		row.tested = v.testedOf(cellID{row.model, levelText, k})
	}
	return r
}

// order is rank without the correction, which looks at all orders of its family.
func (v *view) order(k key, levelText string) ranking {
	r := ranking{key: k, level: levelText}
	sign := 1.0
	switch k.better() {
	case result.Neither:
		return r
	case result.Higher:
		sign = -1
	}
	for _, m := range v.Models {
		if c := v.cell(m, levelText, k); len(c.Points) > 0 {
			r.rows = append(r.rows, ranked{model: m, cell: c})
		}
	}
	slices.SortStableFunc(r.rows, func(a, b ranked) int {
		switch d := sign * (a.cell.Summary.Median - b.cell.Summary.Median); {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
	for i := range r.rows[min(1, len(r.rows)):] {
		row := &r.rows[i+1]
		row.against = v.relate(row.cell, r.rows[0].cell)
	}
	return r
}

// relate compares two cells: by round where servers that are not ours are in the
// view, whose trials of a round are neighbours in time; otherwise by all rounds.
// By round, P is twice the smaller one of the sign test's and of Mann and Whitney's:
// ten rounds on one side are all that the first can see, and too little among many.
func (v *view) relate(a, b *cell) stats.Comparison {
	c := stats.Compare(a.values(), b.values())
	if v.besides() {
		p := stats.PairedRatio(pair(a, b))
		if p.Ratio == p.Ratio {
			return stats.Comparison{NA: p.N, NB: p.N, Ratio: p.Ratio, Lo: p.Lo, Hi: p.Hi, Reached: p.Reached, P: min(1, 2*min(c.P, p.P)), Delta: c.Delta}
		}
	}
	return c
}

// apart reports whether two are told apart: by the corrected test and by the interval
// of the ratio, which excludes no difference. Where so few rounds are too few for the
// family, whatever the difference, by the interval alone: that is a hint, and hedge
// says so.
func (r ranked) apart() bool {
	c := r.against
	excludes := c.Ratio != c.Ratio || c.Lo > 1 || c.Hi < 1
	if r.tested.decidable(c) {
		return r.tested.corrected <= stats.Alpha && excludes
	}
	return r.tellable() && excludes && (c.Ratio == c.Ratio || c.P <= stats.Alpha)
}

// leastReached is the confidence below which an order is not even a hint: three
// rounds against three reach it, two against three do not.
const leastReached = 0.9

// tellable reports whether the rounds suffice for any word on the order.
func (r ranked) tellable() bool {
	c := r.against
	return c.Ratio != c.Ratio || c.Reached >= leastReached-1e-9
}

// kind is that of the finding: lead, tie, or hint where rounds are too few for
// either.
func (r ranking) kind() string {
	tied, _ := r.tied()
	switch {
	case len(r.rows) < 2 || r.hedge() != "":
		return "hint"
	case len(tied) > 0:
		return "tie"
	default:
		return "lead"
	}
}

// tied are the models that cannot be told apart from the first; behind the rest.
func (r ranking) tied() (tied, behind []ranked) {
	for _, row := range r.rows[min(1, len(r.rows)):] {
		if row.apart() {
			behind = append(behind, row)
		} else {
			tied = append(tied, row)
		}
	}
	return tied, behind
}

func models(rows []ranked) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.model)
	}
	return out
}

// superlative is "lowest" or "highest".
func (r ranking) superlative() string {
	if r.key.better() == result.Higher {
		return "highest"
	}
	return "lowest"
}

// head says who is first, with which figure, and how far the next is.
func (r ranking) head() string {
	tied, behind := r.tied()
	first := r.rows[0]
	value := quantity(first.cell.Summary.Median, r.key.Unit)
	switch {
	case len(r.rows) == 1:
		return fmt.Sprintf("Only %s has a figure for %s: %s", first.model, r.key.Label(), value)
	case !r.rows[1].tellable():
		return fmt.Sprintf("Too few rounds to rank the models by %s; the %s median is that of %s: %s", r.key.Label(), r.superlative(), first.model, value)
	case len(tied) > 0:
		names := append([]string{first.model}, models(tied)...)
		return fmt.Sprintf("No single model has the %s %s: %s (%s) cannot be told apart", r.superlative(), r.key.Label(), list(names), value)
	default:
		next := behind[0]
		far := times(next.against.Ratio)
		if next.against.Ratio != next.against.Ratio {
			far = "with " + quantity(next.cell.Summary.Median, r.key.Unit)
		}
		return fmt.Sprintf("%s has the %s %s: %s; next is %s, %s", first.model, r.superlative(), r.key.Label(), value, next.model, far)
	}
}

// hedge says what the number of rounds cannot carry; empty if it carries all.
func (r ranking) hedge() string {
	if len(r.rows) < 2 {
		return ""
	}
	c := r.rows[1].against
	if c.Enough() || c.Ratio != c.Ratio {
		if t := r.rows[1].tested; !t.decidable(c) {
			return fmt.Sprintf("A hint only: %d against %d rounds are too few for any difference to stand among the %d comparisons of its family.", c.NB, c.NA, t.family)
		}
		return ""
	}
	if c.Reached <= 0 {
		return "One round each: nothing says how much of the difference is chance."
	}
	return fmt.Sprintf("A hint only: %d against %d rounds reach %s at most, not %s.", c.NB, c.NA, stats.Percent(c.Reached), stats.Percent(stats.Confidence))
}

// evidence is a ranking's rows as text: model, median, ratio to the first.
func (r ranking) evidence() []evidence {
	var out []evidence
	for i, row := range r.rows {
		s := row.cell.Summary
		e := evidence{Model: row.model, Value: quantity(s.Median, r.key.Unit)}
		if s.HasInterval() {
			e.Interval = fmt.Sprintf("%s to %s at %s", shown(s.Lo, r.key.Unit), shown(s.Hi, r.key.Unit), stats.Percent(s.Reached))
		}
		switch c := row.against; {
		case i == 0:
			e.Relation = "first"
		case c.Ratio != c.Ratio:
			e.Relation = "no ratio: a value is 0; " + row.tested.words(c)
		default:
			e.Relation = times(c.Ratio)
			if c.Reached <= 0 {
				break
			}
			e.Detail = fmt.Sprintf("ratio %s to %s at %s, %s, %s", number(c.Lo), number(c.Hi), stats.Percent(c.Reached), row.tested.words(c), clean(c))
			if !row.apart() {
				e.Detail += ": not told apart"
			}
		}
		out = append(out, e)
	}
	return out
}

// short is head's message for a caption.
func (r ranking) short() string {
	if len(r.rows) == 0 {
		return ""
	}
	first, last := r.rows[0], r.rows[len(r.rows)-1]
	text := fmt.Sprintf("%s: %s, %s.", upperFirst(r.superlative()), first.model, quantity(first.cell.Summary.Median, r.key.Unit))
	if len(r.rows) == 1 {
		return text
	}
	if c := last.against; c.Ratio == c.Ratio && last.apart() {
		text += fmt.Sprintf(" %s is %s.", last.model, times(c.Ratio))
	}
	tied, _ := r.tied()
	if len(tied) > 0 {
		text += " Not told apart from it: " + list(models(tied)) + "."
	}
	return text
}

// median is "812 µs (93.7 % interval 790 to 850)".
func median(c *cell, unit string) string {
	s := c.Summary
	text := quantity(s.Median, unit)
	if !s.HasInterval() {
		return text + " (one round: no interval)"
	}
	return fmt.Sprintf("%s (%s interval %s to %s)", text, stats.Percent(s.Reached), shown(s.Lo, unit), shown(s.Hi, unit))
}

// list joins names: "a", "a and b", "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
