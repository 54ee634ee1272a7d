package load

import (
	"context"
	"errors"
	"math"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseSLO(t *testing.T) {
	for text, want := range map[string]SLO{"p99=1ms": {Quantile: 0.99, Bound: time.Millisecond}, "p99.9=500us": {Quantile: 0.999, Bound: 500 * time.Microsecond}} {
		s, err := ParseSLO(text)
		require.NoError(t, err)
		require.InDelta(t, want.Quantile, s.Quantile, 1e-9)
		require.Equal(t, want.Bound, s.Bound)
		require.Equal(t, text, s.String())
	}
	for _, text := range []string{"", "p99", "99=1ms", "p100=1ms", "p0=1ms", "p99=0s", "pNaN=1ms", "p99=-1ms", "p99=1"} {
		_, err := ParseSLO(text)
		require.ErrorContains(t, err, "--slo", text)
	}
}

func FuzzParseSLO(f *testing.F) {
	f.Add("p99=1ms")
	f.Add("p99.99=10us")
	f.Add("p=1=")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSLO(text)
		if err != nil {
			return
		}
		again, err := ParseSLO(s.String())
		if err == nil && (math.Abs(again.Quantile-s.Quantile) > 1e-8 || again.Bound != s.Bound) {
			t.Errorf("%q reads as %v, which reads as %v", text, s, again)
		}
	})
}

// TestSearchFinds: whatever the server can do, the search comes within its precision,
// also where one try of three lies.
func TestSearchFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		can := rapid.Float64Range(5, 1e6).Draw(t, "can")
		begin := rapid.Float64Range(1, 1e6).Draw(t, "begin")
		lies := rapid.Bool().Draw(t, "lies")
		s := search{cfg: Config{Rate: begin}, slo: SLO{Precision: 0.05}}
		n := map[float64]int{}
		err := s.find(context.Background(), func(_ context.Context, rate float64) (SLOTry, error) {
			n[rate]++
			kept := rate <= can
			if lies && n[rate] == 1 {
				kept = !kept
			}
			return SLOTry{RatePerS: rate, Kept: kept, Why: "too slow"}, nil
		})
		require.NoError(t, err)
		require.LessOrEqual(t, s.report.RatePerS, can)
		require.GreaterOrEqual(t, s.report.RatePerS*1.05, can*(1-1e-9))
		require.Equal(t, LimitServer, s.report.Limit)
		require.Contains(t, s.report.Why, "too slow")
		require.Less(t, len(s.report.Tried), 120)
	})
}

// TestSearchSaysWhoWasTheLimit: none kept, the load's limit, an error.
func TestSearchSaysWhoWasTheLimit(t *testing.T) {
	find := func(try SLOTry, err error) (SLOReport, error) {
		s := search{cfg: Config{Rate: 100}, slo: SLO{Precision: 0.05}}
		err = s.find(context.Background(), func(_ context.Context, rate float64) (SLOTry, error) {
			try.RatePerS = rate
			try.Kept = !try.LoadWasLimit && try.Why == "" || try.LoadWasLimit && rate < 1000
			return try, err
		})
		return s.report, err
	}
	none, err := find(SLOTry{Why: "slow"}, nil)
	require.NoError(t, err)
	require.Equal(t, LimitNone, none.Limit)
	require.Zero(t, none.RatePerS)
	byLoad, err := find(SLOTry{LoadWasLimit: true, LoadBusy: 0.99}, nil)
	require.NoError(t, err)
	require.Equal(t, LimitLoad, byLoad.Limit)
	require.Contains(t, byLoad.Why, "99 %")
	require.InEpsilon(t, 1000, byLoad.RatePerS, 0.05)
	all, err := find(SLOTry{}, nil)
	require.NoError(t, err)
	require.Equal(t, LimitLoad, all.Limit, "no rate that can be tried was too much")
	_, err = find(SLOTry{}, errors.New("refused"))
	require.ErrorContains(t, err, "refused")
}

// TestSearchSLO against a real server that needs 2 ms for each request of the one
// connection: it cannot do more than 500/s.
func TestSearchSLO(t *testing.T) {
	s := serve(t, func(_ net.Conn, _ int, p []byte) bool {
		time.Sleep(time.Duration(len(p)/8) * 2 * time.Millisecond)
		return true
	})
	told := 0
	r, err := SearchSLO(t.Context(), Config{Target: s.target(), Conns: 1, Rate: 2000, Load: tagged{window: 1024}},
		SLO{Quantile: 0.5, Bound: 20 * time.Millisecond, Precision: 0.5, For: 100 * time.Millisecond}, func(SLOTry) { told++ })
	require.NoError(t, err)
	require.Positive(t, r.RatePerS)
	require.LessOrEqual(t, r.RatePerS, 1000.0)
	require.Equal(t, told, len(r.Tried))
	require.Greater(t, told, 3)
	_, err = SearchSLO(t.Context(), Config{Mode: Closed}, SLO{Quantile: 0.5, Bound: 1}, nil)
	require.ErrorContains(t, err, "--closed")
}
