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
	// Test relates the second arm to the first, all rounds to all rounds, as lab compare
	// does for two runs. Paired takes the rounds as pairs, and PairedP tests those: what
	// the machine did to both arms of a round falls out.
	Test    stats.Comparison
	Paired  stats.Paired
	PairedP float64
	// P is the one of the two by which the check decides, and Corrected is P by Holm,
	// within the family that correct was given.
	P, Corrected float64
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
		c := Claim{Cell: cell, Metric: metric, Corrected: 1, Paired: stats.PairedRatio(pairedB, pairedA), PairedP: pairedP(pairedB, pairedA),
			Test: stats.Compare(slices.Collect(maps.Values(b)), slices.Collect(maps.Values(a)))}
		c.P = c.Test.P
		claims = append(claims, c)
	}
	return claims
}

// pairedP tests the rounds' ratios; values are positive or there is no ratio to test.
func pairedP(b, a []float64) float64 {
	logs := make([]float64, len(a))
	for i := range a {
		if !(a[i] > 0 && b[i] > 0) {
			return 1
		}
		logs[i] = math.Log(b[i] / a[i])
	}
	return stats.SignedRank(logs)
}

// byPairs has the claims decided by pairs.
func byPairs(claims []Claim) []Claim {
	for i := range claims {
		claims[i].P = claims[i].PairedP
	}
	return claims
}

// correct sets Corrected: these claims are one family.
func correct(family []Claim) {
	p := make([]float64, len(family))
	for i := range family {
		p[i] = family[i].P
	}
	for i, c := range stats.Holm(p) {
		family[i].Corrected = c
	}
}

// Claimed reports whether the test claims a difference before any correction.
func (c *Claim) Claimed() bool { return c.P < alpha }

// Stands reports whether the claim survives the correction.
func (c *Claim) Stands() bool { return c.Corrected < alpha }

// Above reports whether the second arm is found to be the larger one.
func (c *Claim) Above() bool { return c.Stands() && c.Paired.Ratio > 1 }

func printFamily(w io.Writer, family []Claim) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "cell\tmetric\trounds\tratio\t95 % interval\tp\tcorrected\tpaired\tp\t")
	for i := range family {
		c := &family[i]
		mark := ""
		switch {
		case c.Stands():
			mark = "differs"
		case c.Claimed():
			mark = "differs before correction"
		}
		fmt.Fprintf(t, "%s\t%s\t%d+%d\t%s\t%s .. %s\t%.4f\t%.4f\t%s\t%.4f\t%s\n", c.Cell, c.Metric, c.Test.NB, c.Test.NA,
			ratio(c.Test.Ratio), ratio(c.Test.Lo), ratio(c.Test.Hi), c.Test.P, c.Corrected, ratio(c.Paired.Ratio), c.PairedP, mark)
	}
	_ = t.Flush()
}

func ratio(r float64) string {
	if math.IsNaN(r) {
		return "-"
	}
	return fmt.Sprintf("%.3f", r)
}
