package reports

import (
	"fmt"
	"math"

	"github.com/syslet/syslet/lab/stats"
)

// A page makes hundreds of comparisons; of those of two equal models one in twenty
// would be a find at 5 %. So each belongs to one family, and is corrected for the size
// of that by Holm's method:
//
//   - what the sentences of the verdict rest on is one family, of the whole page;
//   - what only tables and figures show is a family for each metric of an experiment.
//
// A family holds every pair of models of its rankings, although only those with the
// first are shown: which one is first was chosen by the same data. Everywhere on the
// page the same comparison is told the same way.

// versus is a comparison: a model against the first of its ranking.
type versus struct {
	v  *view
	id cellID
}

// family is a number of comparisons that are read together.
type family struct {
	at []versus
	// p are the tests': of at, then of the pairs that are not shown.
	p, hidden []float64
	corrected map[versus]float64
}

// add takes all pairs of a ranking in, but those whose first pair another has.
func (f *family) add(v *view, r ranking, other *family) {
	for i := range r.rows {
		for j := i + 1; j < len(r.rows); j++ {
			at := versus{v, cellID{r.rows[j].model, r.level, r.key}}
			if _, there := other.corrected[at]; there {
				return
			}
			if i == 0 {
				f.at, f.p = append(f.at, at), append(f.p, r.rows[j].against.P)
				continue
			}
			f.hidden = append(f.hidden, v.relate(r.rows[j].cell, r.rows[i].cell).P)
		}
	}
}

func (f *family) correct() {
	f.corrected = map[versus]float64{}
	for i, c := range stats.Holm(append(f.p, f.hidden...))[:len(f.at)] {
		f.corrected[f.at[i]] = c
	}
}

func (f *family) size() int { return len(f.p) + len(f.hidden) }

// shareVerdict makes the family of the verdict's comparisons and gives it to all views.
func shareVerdict(vs []*view) {
	f := &family{}
	for _, v := range vs {
		for _, q := range v.questions() {
			for _, k := range v.keysOf(q.name) {
				f.add(v, v.order(k, q.level), &family{})
			}
		}
	}
	f.correct()
	for _, v := range vs {
		v.verdict, v.families = f, map[key]*family{}
	}
}

// familyOf are the comparisons of a key that the verdict does not speak of, made when
// first asked for.
func (v *view) familyOf(k key) *family {
	if f := v.families[k]; f != nil {
		return f
	}
	f := &family{}
	for _, l := range v.Levels {
		f.add(v, v.order(k, l.Text), v.verdict)
	}
	f.correct()
	v.families[k] = f
	return f
}

// tested is a comparison among its family.
type tested struct {
	corrected float64
	// family is the number of its comparisons.
	family int
}

func (v *view) testedOf(id cellID) tested {
	at := versus{v, id}
	if p, ok := v.verdict.corrected[at]; ok {
		return tested{p, v.verdict.size()}
	}
	f := v.familyOf(id.key)
	return tested{f.corrected[at], f.size()}
}

// decidable reports whether the number of rounds allows for a difference to stand in
// the family at all: the smallest p there is, corrected.
func (t tested) decidable(c stats.Comparison) bool {
	ways := 1.0 // n against m rounds can lie in this many orders, of which two are extreme
	for i := 1; i <= c.NA; i++ {
		ways *= float64(c.NB+i) / float64(i)
	}
	return t.corrected <= stats.Alpha || math.Min(1, 2/ways)*float64(t.family) <= stats.Alpha
}

// words is the chance of such a difference where there is none.
func (t tested) words(c stats.Comparison) string {
	if t.decidable(c) {
		return fmt.Sprintf("p %.2g", t.corrected)
	}
	return fmt.Sprintf("p %.2g alone", c.P)
}

// clean says how cleanly the rounds are apart: the share of pairs of rounds in which
// the model's lies on its side (Vargha and Delaney's A12).
func clean(c stats.Comparison) string {
	if a := c.A12(); a < 0.5 {
		return fmt.Sprintf("lower in %.0f %% of pairs", 100*(1-a))
	}
	return fmt.Sprintf("higher in %.0f %% of pairs", 100*c.A12())
}
