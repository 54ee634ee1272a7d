package check

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// alpha is the chance of a false claim that a single test is allowed.
const alpha = 1 - stats.Confidence

// Claim is one comparison of two arms in one metric.
type Claim struct {
	Cell, Metric string
	// Test relates the second arm to the first, round against round without regard to
	// which, as lab compare and the reports do. Paired takes the rounds as pairs.
	Test   stats.Comparison
	Paired stats.Paired
	// Corrected is Test.P by Holm, within the family that correct was given.
	Corrected float64
}

// relate compares two arms of an experiment: of each metric the trials that count.
// cell is how the claims are named, keep says which trials belong to it.
func relate(cell string, trials []result.Trial, first, second string, keep func(*result.Trial) bool, metrics []string) []Claim {
	claims := make([]Claim, 0, len(metrics))
	for _, metric := range metrics {
		arms := map[string]map[int]float64{first: {}, second: {}} // by round
		for i := range trials {
			t := &trials[i]
			v, ok := t.Value(metric)
			if arm := arms[t.Model]; arm != nil && ok && t.Counted() && keep(t) {
				arm[t.Round] = v
			}
		}
		a, b := arms[first], arms[second]
		var pairedA, pairedB []float64
		for _, round := range slices.Sorted(maps.Keys(a)) {
			if v, both := b[round]; both {
				pairedA, pairedB = append(pairedA, a[round]), append(pairedB, v)
			}
		}
		claims = append(claims, Claim{Cell: cell, Metric: metric, Corrected: 1, Paired: stats.PairedRatio(pairedB, pairedA),
			Test: stats.Compare(slices.Collect(maps.Values(b)), slices.Collect(maps.Values(a)))})
	}
	return claims
}

// correct sets Corrected: these claims are one family.
func correct(family []Claim) {
	p := make([]float64, len(family))
	for i := range family {
		p[i] = family[i].Test.P
	}
	for i, c := range stats.Holm(p) {
		family[i].Corrected = c
	}
}

// Claimed reports whether the test claims a difference before any correction.
func (c *Claim) Claimed() bool { return c.Test.P < alpha }

// Stands reports whether the claim survives the correction.
func (c *Claim) Stands() bool { return c.Corrected < alpha }

// Above reports whether the second arm is found to be the larger one: the corrected
// test says so, and the whole interval of the ratio does.
func (c *Claim) Above() bool { return c.Stands() && c.Test.Lo > 1 }

func printFamily(w io.Writer, family []Claim) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "cell\tmetric\trounds\tratio\t95 % interval\tpaired\tp\tcorrected\t")
	for i := range family {
		c := &family[i]
		mark := ""
		switch {
		case c.Stands():
			mark = "differs"
		case c.Claimed():
			mark = "differs before correction"
		}
		fmt.Fprintf(t, "%s\t%s\t%d+%d\t%s\t%s .. %s\t%s\t%.4f\t%.4f\t%s\n", c.Cell, c.Metric, c.Test.NB, c.Test.NA,
			ratio(c.Test.Ratio), ratio(c.Test.Lo), ratio(c.Test.Hi), ratio(c.Paired.Ratio), c.Test.P, c.Corrected, mark)
	}
	_ = t.Flush()
}

func ratio(r float64) string {
	if math.IsNaN(r) {
		return "-"
	}
	return fmt.Sprintf("%.3f", r)
}
