package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestFamily(t *testing.T) {
	var f Family
	require.Empty(t, f.Significant(Alpha))
	for name, p := range map[string]float64{"sure": 0.001, "no": 0.4, "alone it would be": 0.03, "never made": math.NaN()} {
		f.Add(name, p)
	}
	require.Equal(t, 3, f.Size())
	significant := f.Significant(Alpha)
	require.Len(t, significant, 1)
	require.Equal(t, "sure", significant[0].Name)
	require.InDelta(t, 0.003, significant[0].Corrected, 1e-12)
	d, ok := f.Decision("alone it would be")
	require.True(t, ok)
	require.InDelta(t, 0.06, d.Corrected, 1e-12)
	require.False(t, d.Significant(Alpha))
	d, ok = f.Decision("never made")
	require.True(t, ok)
	require.True(t, math.IsNaN(d.Corrected))
	require.False(t, d.Significant(Alpha))
	_, ok = f.Decision("nobody")
	require.False(t, ok)
	require.Len(t, f.Decisions(), 4)
}

func TestFamilyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f Family
		p := rapid.SliceOfN(rapid.Float64Range(0, 0.2), 0, 30).Draw(t, "p")
		for _, v := range p {
			f.Add("test", v)
		}
		s := f.Significant(Alpha)
		for i, d := range s {
			require.LessOrEqual(t, d.Corrected, Alpha)
			require.True(t, i == 0 || s[i-1].P <= d.P)
		}
		// One more test, of which nothing comes, takes no decision for more.
		f.Add("dull", 1)
		require.LessOrEqual(t, len(f.Significant(Alpha)), len(s))
	})
}

// Forty comparisons of a thing with itself: what claims a difference alone, and what in
// the family. This is the arithmetic beneath the lab's A/A check.
func TestFamilyOfForty(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	const families, tests, rounds = 150, 40, 10
	alone, after := 0, 0
	for range families {
		var f Family
		for range tests {
			a, b := make([]float64, rounds), make([]float64, rounds)
			for i := range a {
				a[i], b[i] = noisy(rng, 0.1), noisy(rng, 0.1)
			}
			c := Compare(a, b)
			if c.Differs() {
				alone++
			}
			f.Add("", c.P)
		}
		if len(f.Significant(Alpha)) > 0 {
			after++
		}
	}
	t.Logf("of %d comparisons alone %.1f %% claim a difference; of families of 40 corrected %.1f %%",
		families*tests, 100*float64(alone)/families/tests, 100*float64(after)/families)
	require.Less(t, float64(alone)/families/tests, 0.055)
	require.Less(t, float64(after)/families, 0.07)
}

func TestEffect(t *testing.T) {
	for _, c := range []struct {
		a, b  []float64
		delta float64
		word  string
	}{
		{[]float64{3, 4}, []float64{1, 2}, 1, Large},
		{[]float64{1, 2}, []float64{3, 4}, -1, Large},
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 0, Negligible},
		{[]float64{1, 4, 4, 4}, []float64{2, 3, 5, 5}, -0.25, Small},
		{[]float64{2, 2, 3}, []float64{1, 2, 3}, 2. / 9, Small},
		{[]float64{2, 3}, []float64{1, 2, 3, 4}, 0, Negligible},
		{[]float64{3, 3, 3, 0, 4}, []float64{1, 2, 3, 4, 1}, 0.2, Small},
		{[]float64{4, 5, 0}, []float64{1, 2, 3, 9}, 0, Negligible},
		{[]float64{4, 5, 4, 5, 0}, []float64{1, 2, 3, 1, 4.5}, 0.44, Medium},
		{nil, []float64{1}, math.NaN(), ""},
	} {
		got := Compare(c.a, c.b)
		require.Equal(t, c.word, got.Effect(), "%+v %v", c, got.Delta)
		if c.word != "" {
			require.InDelta(t, c.delta, got.Delta, 1e-9, "%+v", c)
			require.InDelta(t, (1+c.delta)/2, got.A12(), 1e-9)
			require.InDelta(t, -got.Delta, Compare(c.b, c.a).Delta, 1e-9)
		}
	}
}
