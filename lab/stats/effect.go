package stats

import "math"

// Effect words, by Cliff's delta.
const (
	Negligible = "negligible"
	Small      = "small"
	Medium     = "medium"
	Large      = "large"
)

// Effect is Delta in a word: below 0.147 negligible, 0.33 small, 0.474 medium, else
// large (Romano et al., "Appropriate statistics for ordinal level data", 2006). It
// speaks of how cleanly the rounds of a and b are apart, not of how far: where rounds
// repeat within 0.1 %, a difference of 1 % is large. Ratio says how far.
func (c Comparison) Effect() string {
	switch d := math.Abs(c.Delta); {
	case d < 0.147:
		return Negligible
	case d < 0.33:
		return Small
	case d < 0.474:
		return Medium
	case d <= 1:
		return Large
	}
	return "" // NaN: nothing was compared
}

// A12 is the chance that a round of a has the larger value than one of b, ties
// counting half: 0.5 if neither is more often above (Vargha and Delaney 2000).
func (c Comparison) A12() float64 { return (c.Delta + 1) / 2 }
