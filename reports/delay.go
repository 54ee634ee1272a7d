package reports

import (
	"fmt"
	"math"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// rankings is the factor of the experiment on bodies: queries per second, each
// in the body of a threadlet. Latency there is of the other players' pings.
const rankings = "rankings"

// delayFindings hold each model's delay of the p99 against the rule: how far the
// last level lies above the first, whole interval.
func (v *view) delayFindings() []finding {
	if len(v.Levels) < 2 {
		return nil
	}
	from, to := v.Levels[0].Text, v.Levels[len(v.Levels)-1].Text
	var out []finding
	for _, k := range v.keysOf(result.LatencyP99) {
		f := finding{Kind: "note", Where: v.label() + ", from " + trimAt(v.at(from)) + " to " + trimAt(v.at(to))}
		sides := map[stats.Side][]string{}
		reached := 1.0
		for _, m := range v.Models {
			a, b := v.cell(m, from, k), v.cell(m, to, k)
			if len(a.Points) == 0 || len(b.Points) == 0 {
				continue
			}
			s := stats.ShiftOf(b.values(), a.values())
			side := s.Against(result.BodyDelayMaxUs)
			sides[side] = append(sides[side], m)
			reached = min(reached, s.Reached)
			f.Rows = append(f.Rows, evidence{Model: m, Value: shown(a.Summary.Median, k.Unit) + " to " + quantity(b.Summary.Median, k.Unit),
				Relation: signed(s.By) + " µs", Detail: shiftDetail(s) + sideWords[side]})
		}
		if len(f.Rows) == 0 {
			continue
		}
		f.Head = v.delayHead(to, sides)
		f.Body = "Each model is held against the bound by its own interval, not corrected for their number."
		switch {
		case reached == 0:
			f.Kind, f.Body = "hint", f.Body+" One round each: nothing says how much of the difference is chance."
		case reached < stats.Confidence:
			f.Kind, f.Body = "hint", f.Body+" "+fmt.Sprintf("A hint only: the rounds reach %s at most, not %s.", stats.Percent(reached), stats.Percent(stats.Confidence))
		}
		out = append(out, f)
	}
	return out
}

var sideWords = map[stats.Side]string{
	stats.Below: "less than the bound", stats.Above: "more than the bound", stats.Unknown: "not decided",
}

// delayHead is the verdict in a sentence: "A query of 5 to 6 ms ... delays ... by
// less than 0.3 ms under a and b, by more under c; not decided for d".
func (v *view) delayHead(level string, sides map[stats.Side][]string) string {
	var parts []string
	bound := fmt.Sprintf("%g ms", result.BodyDelayMaxUs/1e3)
	for _, s := range []struct {
		side stats.Side
		text string
	}{{stats.Below, "by less than " + bound + " under %s"}, {stats.Above, "by more than " + bound + " under %s"}, {stats.Unknown, "or not (undecided) under %s"}} {
		if m := sides[s.side]; len(m) > 0 {
			parts = append(parts, fmt.Sprintf(s.text, list(m)))
		}
	}
	if len(sides[stats.Unknown]) > 0 && len(parts) == 1 {
		return fmt.Sprintf("Whether %s delays the p99 of the other players' pings by less than %s is undecided under %s", v.query(level), bound, list(sides[stats.Unknown]))
	}
	return upperFirst(v.query(level)) + " delays the p99 of the other players' pings " + strings.Join(parts, ", ")
}

// query names the query with the range of its mean times over the models.
func (v *view) query(level string) string {
	lo, hi := math.Inf(1), 0.0
	for _, k := range v.keysOf(result.QueryMean) {
		for _, m := range v.Models {
			if c := v.cell(m, level, k); len(c.Points) > 0 {
				lo, hi = min(lo, c.Summary.Median/1e3), max(hi, c.Summary.Median/1e3)
			}
		}
	}
	switch {
	case hi == 0:
		return "a query in a body"
	case fmt.Sprintf("%.1f", lo) == fmt.Sprintf("%.1f", hi):
		return fmt.Sprintf("a query of %.1f ms in a body", lo)
	}
	return fmt.Sprintf("a query of %.1f to %.1f ms in a body", lo, hi)
}

func shiftDetail(s stats.Shift) string {
	if s.Reached == 0 {
		return "one round: no interval; "
	}
	return fmt.Sprintf("%s to %s at %s: ", signed(s.Lo), signed(s.Hi), stats.Percent(s.Reached))
}

func signed(us float64) string {
	if us < 0 {
		return "−" + number(-us)
	}
	return "+" + number(us)
}
