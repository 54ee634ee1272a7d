package reports

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// doubtful counts the trials that are not valid, by the kind of reason.
func doubtful(run *result.Run) []finding {
	var out []finding
	for _, verdict := range []result.Verdict{result.Invalid, result.Suspect} {
		d := doubts{}
		n := 0
		for i := range run.Trials {
			if t := &run.Trials[i]; t.Verdict == verdict {
				d.add(t)
				n++
			}
		}
		if n == 0 {
			continue
		}
		effect := "Listed below and counted nowhere."
		if verdict == result.Suspect {
			effect = "Counted, and drawn hollow."
		}
		are := "are"
		if n == 1 {
			are = "is"
		}
		out = append(out, finding{Kind: "warn", Elsewhere: true, Head: fmt.Sprintf("%d of %d trials %s %s", n, len(run.Trials), are, verdict),
			Body: effect, Kinds: d.lines(len(allModels(run)))})
	}
	return out
}

// doubts collects reasons. Those that differ in their figures only are one kind.
type doubts map[string]*doubtKind

type doubtKind struct {
	example string
	trials  int
	models  map[string]bool
}

var digits = regexp.MustCompile(`[0-9][0-9.,e+-]*`)

func (d doubts) add(t *result.Trial) {
	seen := map[string]bool{}
	for _, r := range t.Reasons {
		kind := digits.ReplaceAllString(r, "#")
		if seen[kind] {
			continue
		}
		seen[kind] = true
		if d[kind] == nil {
			d[kind] = &doubtKind{example: r, models: map[string]bool{}}
		}
		d[kind].trials++
		d[kind].models[t.Model] = true
	}
}

// kinds are in order, the most frequent first.
func (d doubts) kinds() []string {
	return slices.SortedFunc(maps.Keys(d), func(a, b string) int {
		return cmp.Or(cmp.Compare(d[b].trials, d[a].trials), cmp.Compare(a, b))
	})
}

// lines are the kinds, each with one trial's words, and with the models unless it is
// all of them. The rule that it broke and the advice that comes with it stand beside
// each trial.
func (d doubts) lines(models int) []string {
	var out []string
	for _, k := range d.kinds() {
		example, _, _ := strings.Cut(d[k].example, " (rule ")
		who := ""
		if len(d[k].models) < models {
			who = " (" + strings.Join(slices.Sorted(maps.Keys(d[k].models)), ", ") + ")"
		}
		out = append(out, fmt.Sprintf("%d%s: %s", d[k].trials, who, example))
	}
	return out
}

// markdown is a line for each of the most frequent kinds, with the words of one trial.
func (d doubts) markdown(b *strings.Builder, verdict result.Verdict) {
	kinds := d.kinds()
	for _, k := range kinds[:min(mostKinds, len(kinds))] {
		example, _, _ := strings.Cut(d[k].example, " (rule ")
		fmt.Fprintf(b, "- %d %s: %s\n", d[k].trials, verdict, mdText(clipped(example)))
	}
	if more := len(kinds) - mostKinds; more > 0 {
		fmt.Fprintf(b, "- %s for %d more reasons: see report.html\n", verdict, more)
	}
}

// brokenRules are the names of the rules that reasons are of, with how many of the
// trials; of a reason without a rule its beginning.
func brokenRules(trials []*result.Trial) []string {
	count := map[string]int{}
	for _, t := range trials {
		seen := map[string]bool{}
		for _, r := range t.Reasons {
			name := digits.ReplaceAllString(shortReason(r), "#")
			if m := ruleName.FindStringSubmatch(r); m != nil {
				name = m[1]
			}
			if !seen[name] {
				seen[name] = true
				count[name]++
			}
		}
	}
	var out []string
	for _, name := range slices.SortedFunc(maps.Keys(count), func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) }) {
		if count[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, count[name])
		}
		out = append(out, name)
	}
	return out
}

var ruleName = regexp.MustCompile(`\(rule "([^"]+)"`)

// shortReason is a reason's first words, for a cell of a table.
func shortReason(r string) string {
	if text := []rune(r); len(text) > 48 {
		return strings.TrimSpace(string(text[:48])) + "…"
	}
	return r
}

// byKind are reasons with one for all that differ in their figures only, sorted.
func byKind(reasons []string) []string {
	reasons = slices.Compact(slices.Sorted(slices.Values(reasons)))
	count := map[string]int{}
	for _, r := range reasons {
		count[digits.ReplaceAllString(r, "#")]++
	}
	var out []string
	for _, r := range reasons {
		kind := digits.ReplaceAllString(r, "#")
		switch n := count[kind]; {
		case n == 1:
			out = append(out, r)
		case n > 1:
			out = append(out, fmt.Sprintf("%s (and %d like it)", r, n-1))
		}
		count[kind] = 0
	}
	return out
}
