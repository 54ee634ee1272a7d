package lab

import (
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// durations says how long trials take, from those that were.
type durations struct {
	planned map[string]float64 // of an experiment, seconds
	kind    map[string]mean    // experiment, model and factors
	whole   map[string]mean    // experiment
	// stretch is what trials took in relation to what was planned.
	stretch mean
}

type mean struct {
	sum float64
	n   int
}

func (m mean) plus(v float64) mean { return mean{m.sum + v, m.n + 1} }
func (m mean) value() float64      { return m.sum / float64(m.n) }

// unplannedS is the guess for a trial of which nothing is known, in seconds.
const unplannedS = 2

func newDurations(plan []result.Planned) *durations {
	d := &durations{planned: map[string]float64{}, kind: map[string]mean{}, whole: map[string]mean{}}
	for i := range plan {
		d.planned[plan[i].Experiment] = plan[i].TrialS
	}
	return d
}

// add takes a finished trial into account, if it says what it took.
func (d *durations) add(t *result.Trial) {
	if t.ElapsedS <= 0 {
		return
	}
	kind := result.TrialID(t.Experiment, t.Model, 0, t.Factors)
	d.kind[kind] = d.kind[kind].plus(t.ElapsedS)
	d.whole[t.Experiment] = d.whole[t.Experiment].plus(t.ElapsedS)
	if planned := d.planned[t.Experiment]; planned > 0 {
		d.stretch = d.stretch.plus(t.ElapsedS / planned)
	}
}

// expect is the mean of the trials of the same kind; if there are none, of those of
// the same experiment; else what was planned, stretched as the other trials were.
func (d *durations) expect(s *trial.Spec) time.Duration {
	if m := d.kind[result.TrialID(s.Experiment, s.Model, 0, s.Factors)]; m.n > 0 {
		return seconds(m.value())
	}
	if m := d.whole[s.Experiment]; m.n > 0 {
		return seconds(m.value())
	}
	planned := d.planned[s.Experiment]
	if planned <= 0 {
		planned = unplannedS
	}
	if d.stretch.n > 0 {
		planned *= d.stretch.value()
	}
	return seconds(planned)
}

func (d *durations) expectAll(specs []*trial.Spec) (sum time.Duration) {
	for _, s := range specs {
		sum += d.expect(s)
	}
	return sum
}
