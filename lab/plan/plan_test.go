package plan

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
)

// TestTrials: every model at every level once a round, rounds in order, models
// within a round in an order that the seed decides.
func TestTrials(t *testing.T) {
	es := Default(false)
	specs := Trials(es, 1)
	require.Len(t, specs, es[0].Count()+es[1].Count())
	type cell struct{ experiment, model, level string }
	seen := map[int]map[cell]int{}
	last := 0
	for _, s := range specs {
		require.GreaterOrEqual(t, s.Round, last)
		last = s.Round
		if seen[s.Round] == nil {
			seen[s.Round] = map[cell]int{}
		}
		seen[s.Round][cell{s.Experiment, s.Model, s.Factors[BlockingShare]}]++
	}
	for round, cells := range seen {
		for c, n := range cells {
			require.Equal(t, 1, n, "round %d: %v", round, c)
		}
	}
	require.Len(t, seen[1], 4+25)
	require.Len(t, seen[10], 4+25)
	require.Equal(t, specs, Trials(es, 1), "the same seed gives the same plan")
	require.NotEqual(t, order(specs), order(Trials(es, 2)))
}

func order(specs []trial.Spec) (names []string) {
	for _, s := range specs {
		names = append(names, s.Experiment+s.Model+s.Factors[BlockingShare])
	}
	return names
}

// TestSameRequests: the models of a round get the same arrivals and requests.
func TestSameRequests(t *testing.T) {
	seeds := map[int]uint64{}
	for _, s := range Trials(BuiltIn(true), 9) {
		if prev, ok := seeds[s.Round]; ok {
			require.Equal(t, prev, s.Seed)
		}
		seeds[s.Round] = s.Seed
	}
	require.NotEqual(t, seeds[1], seeds[2])
}

// TestPromises: what the README and the issue promise of the default run.
func TestPromises(t *testing.T) {
	total := func(quick bool) (d time.Duration) {
		for _, e := range Default(quick) {
			d += e.Total()
		}
		return d
	}
	require.LessOrEqual(t, total(false), 7*time.Minute)
	require.LessOrEqual(t, total(true), time.Minute)
	full := Default(false)
	require.Equal(t, []string{GameMix, BlockingCurve}, []string{full[0].Name, full[1].Name})
	for _, e := range BuiltIn(false) {
		require.Equal(t, 10, e.Rounds, e.Name)
	}
	for _, e := range full {
		for _, m := range models.Names() {
			require.Contains(t, e.Models, m)
		}
	}
}

// TestBodies: pings come at one rate, whatever is asked beside them, and nobody
// gets the experiment unasked.
func TestBodies(t *testing.T) {
	for _, e := range Default(false) {
		require.NotEqual(t, Bodies, e.Name)
	}
	es, err := Select([]string{Bodies}, false)
	require.NoError(t, err)
	specs := Trials(es, 1)
	require.Len(t, specs, es[0].Count())
	for _, s := range specs {
		pings, all := float64(s.Mix.Pings), float64(s.Mix.Pings+s.Mix.Rankings)
		require.InDelta(t, 2000, s.Rate*pings/all, 1e-6)
		require.Equal(t, strconv.Itoa(s.Mix.Rankings), s.Factors[Rankings])
		require.Equal(t, "ping", s.LatencyOf)
		require.NotZero(t, s.LedgerQuery)
	}
}

// TestPeers: the whole takes at most what the README says, every server has the
// same load, and the servers of a level run one after another.
func TestPeers(t *testing.T) {
	total := func(quick bool) (d time.Duration) {
		es, err := Select([]string{"peers"}, quick)
		require.NoError(t, err)
		require.Len(t, es, 3)
		for _, e := range es {
			require.True(t, e.OptIn)
			d += e.Total()
		}
		return d
	}
	require.LessOrEqual(t, total(false), 45*time.Minute)
	require.LessOrEqual(t, total(true), 3*time.Minute)
	es, err := Select([]string{result.PeersEcho, "peers", result.PeersEcho}, false)
	require.NoError(t, err)
	require.Len(t, es, 3)
	type cell struct {
		experiment, level string
		round             int
	}
	offered := map[cell]float64{}
	ended := map[cell]bool{}
	var last cell
	specs := Trials(es, 3)
	for _, s := range specs {
		c := cell{s.Experiment, s.Factors[result.Conns], s.Round}
		if rate, ok := offered[c]; ok {
			require.Equal(t, rate, s.Rate)
		}
		require.Positive(t, s.Rate)
		require.Equal(t, s.Factors[result.Conns], strconv.Itoa(s.Conns))
		require.NotContains(t, s.Factors, "rate")
		offered[c] = s.Rate
		if c != last {
			require.False(t, ended[c], "%v is in two places", c)
			ended[last], last = true, c
		}
	}
	for _, e := range es {
		require.GreaterOrEqual(t, e.Rounds, 10)
		require.Subset(t, e.Models, append(models.Names(), "gnet", "nbio", "netpoll", "evio", "net", "c-epoll", "c-iouring"))
	}
	first, second := "", ""
	for _, s := range specs[:len(es[0].Models)] {
		first += s.Model + " "
	}
	for _, s := range Trials(es, 4)[:len(es[0].Models)] {
		second += s.Model + " "
	}
	require.NotEqual(t, first, second)
}

func TestSelect(t *testing.T) {
	es, err := Select([]string{BlockingCurve}, false)
	require.NoError(t, err)
	require.Len(t, es, 1)
	_, err = Select([]string{"no-such"}, false)
	require.ErrorContains(t, err, "no-such")
	require.ErrorContains(t, err, GameMix)
}
