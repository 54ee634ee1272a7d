package reports

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
)

// TestNoTrialIsDroppedInSilence: a cell whose trials are all invalid is in every
// output with its reason.
func TestNoTrialIsDroppedInSilence(t *testing.T) {
	r := equals(1, 3, 1, 1)
	for i := range r.Trials {
		if trial := &r.Trials[i]; trial.Model == "iouring" {
			trial.Verdict, trial.Reasons = result.Invalid, []string{fmt.Sprintf("flaw %d", trial.Round)}
		}
	}
	dir := t.TempDir()
	require.NoError(t, write(r, dir))
	md, page := read(t, dir, "summary.md"), read(t, dir, "report.html")
	require.Contains(t, md, "3 valid, 3 invalid of 6.")
	require.Contains(t, md, "- **e: iouring: 3 invalid**, so nothing is known of it\n")
	require.Contains(t, md, "- 3 invalid: flaw 1\n")
	for round := 1; round <= 3; round++ {
		require.Contains(t, page, fmt.Sprintf("flaw %d", round))
	}
	rows, err := csv.NewReader(strings.NewReader(read(t, dir, "summary.csv"))).ReadAll()
	require.NoError(t, err)
	last := rows[len(rows)-1]
	require.Equal(t, []string{"e", "w", "", "iouring", "", "", "", "0", "", "", "", "", "no trial counts: flaw 1; flaw 2; flaw 3", "0", "0", "3"}, last)
	require.Equal(t, []string{"3", "0", "0"}, rows[1][13:])
}

func TestLoadLimited(t *testing.T) {
	trial := result.Trial{Metrics: map[string]result.Metric{result.LoadBusy: result.Of(89, "%", "load")}}
	require.False(t, loadLimited(&trial))
	trial.Metrics[result.LoadBusy] = result.Of(91, "%", "load")
	require.True(t, loadLimited(&trial))
	trial = result.Trial{Reasons: []string{"the load was busy for 93 % of the time: it may be the limit, not the server"}}
	require.True(t, loadLimited(&trial), "a run of an older version")
}

func TestMostFrequentCalls(t *testing.T) {
	r := equals(1, 2, 1, 1)
	for i := range r.Trials {
		for n := range 15 {
			r.Trials[i].Metrics[result.SyscallPerOp(fmt.Sprintf("call%d", n))] = result.Of(float64(n), "1", result.SourceBPF)
		}
	}
	v := views(r)[0]
	rows := v.callRows(looks(v.Models))
	require.Len(t, rows, 2)
	require.Len(t, rows[0].Calls, mostCalls)
	require.Equal(t, callCount{"call14", "14"}, rows[0].Calls[0])
	require.Equal(t, "and 7 others: 21", rows[0].More())
	require.Equal(t, "105", rows[0].Total)
}

// TestSensorsNeverShareAFigure: lines displaced, misses counted and misses simulated
// are figures of their own, each with its source in the title.
func TestSensorsNeverShareAFigure(t *testing.T) {
	r := equals(1, 2, 1, 1)
	for i := range r.Trials {
		m := r.Trials[i].Metrics
		m[result.CacheMissesPerOp] = result.Of(1, "1", result.SourcePMU)
		m[result.L1DisplacedPerOp] = result.Of(2, "1", result.SourceProbe)
		m[result.SimD1MissesPerOp] = result.Of(3, "1", result.SourceSim)
		if r.Trials[i].Round == 1 {
			m[result.CacheMissesPerOp] = result.Of(4, "1", result.SourceProbe)
		}
	}
	v := views(r)[0]
	var titles []string
	for _, s := range v.sections(looks(v.Models)) {
		if s.Title == cachesTopic.title {
			for _, f := range s.Figures {
				titles = append(titles, f.Title)
			}
		}
	}
	require.Equal(t, []string{"Cache misses per request (source: pmu)", "Cache displaced per request (source: probe)",
		"L1 cache lines displaced per request (source: probe)", "Simulated D1 misses per request (source: sim)"}, titles)
}

func TestOverTime(t *testing.T) {
	r := equals(1, 3, 1, 1)
	require.Empty(t, views(r)[0].overTime(looks(known)), "a run of an older version has no slices")
	for i := range r.Trials {
		trial := &r.Trials[i]
		for s := range 4 {
			trial.Series = append(trial.Series, result.Slice{OffsetS: float64(s), DurationS: 1, Answered: 10, P50Us: float64(10 * trial.Round), P99Us: 100})
		}
		trial.Series[2].Answered = int64(trial.Round - 1) // of round 1 there is no answer in the third
	}
	v := views(r)[0]
	require.Equal(t, [][2]float64{{0.5, 20}, {1.5, 20}, {2.5, 25}, {3.5, 20}}, v.timeLine("nonblock", "", func(s *result.Slice) float64 { return s.P50Us }))
	figures := v.overTime(looks(v.Models))
	require.Len(t, figures, 2)
	require.Contains(t, figures[0].Alt, "nonblock from 20 at the beginning to 20 at the end, highest 25")
}

// TestReasonsByKind: a hundred reasons that differ in a figure are one line.
func TestReasonsByKind(t *testing.T) {
	require.Equal(t, []string{"no PMU", "only 10 of 5000 (and 2 like it)"}, byKind([]string{"only 30 of 5000", "no PMU", "only 10 of 5000", "no PMU", "only 21 of 5000"}))
	require.Empty(t, byKind(nil))
	k := key{Source: "pmu (in a time of its own after the window)"}
	require.Equal(t, "pmu", k.sensor())
	require.Equal(t, "Measured in a time of its own after the window.", k.when())
	require.Empty(t, key{Source: "pmu"}.when())
}
