package stats

import (
	"cmp"
	"math"
	"slices"
)

// Alpha is the level of significance that goes with Confidence.
const Alpha = 1 - Confidence

// Family is a number of tests that are read together: all metrics and cells of one
// report, say. Of 40 tests of a thing against itself two come out significant at 5 %
// by luck; of a family, corrected, none, in 19 of 20 families. The zero value is an
// empty family. It is not safe for use by several goroutines.
type Family struct{ tests []Decision }

// Decision is what a family says of one of its tests.
type Decision struct {
	Name string
	// P is as it was given, Corrected by Holm for the number of tests. Both are NaN for
	// a test that could not be made.
	P, Corrected float64
}

// Significant reports whether the test is, in its family, at this level.
func (d Decision) Significant(alpha float64) bool { return d.Corrected <= alpha }

// Add takes a test's P value (Comparison.P, Paired.P) into the family. Names are the
// caller's; a name that is there already gets a second test. All tests that the
// reader is shown must be added, those without a difference above all: a family of
// the chosen ones corrects nothing. Not a number: the test could not be made, and does not count.
func (f *Family) Add(name string, p float64) { f.tests = append(f.tests, Decision{Name: name, P: p}) }

// Size is the number of tests that count.
func (f *Family) Size() (n int) {
	for _, t := range f.tests {
		if !math.IsNaN(t.P) {
			n++
		}
	}
	return n
}

// Decisions are all tests, in the order in which they were added.
func (f *Family) Decisions() []Decision {
	p := make([]float64, len(f.tests))
	for i, t := range f.tests {
		p[i] = t.P
	}
	decisions := slices.Clone(f.tests)
	for i, corrected := range Holm(p) {
		decisions[i].Corrected = corrected
	}
	return decisions
}

// Decision is that of the first test with this name; ok is false if there is none.
func (f *Family) Decision(name string) (d Decision, ok bool) {
	decisions := f.Decisions()
	i := slices.IndexFunc(decisions, func(d Decision) bool { return d.Name == name })
	if i < 0 {
		return Decision{Name: name, P: math.NaN(), Corrected: math.NaN()}, false
	}
	return decisions[i], true
}

// Significant are the tests that are at this level after correction, the surest first.
// The chance that any of them is so by luck alone is at most alpha.
func (f *Family) Significant(alpha float64) []Decision {
	d := slices.DeleteFunc(f.Decisions(), func(d Decision) bool { return !d.Significant(alpha) })
	slices.SortStableFunc(d, func(a, b Decision) int { return cmp.Compare(a.P, b.P) })
	return d
}
