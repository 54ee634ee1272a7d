package result

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlocksAreChecked(t *testing.T) {
	trial := Trial{Experiment: "e", Workload: "w", Model: "m", Round: 1, Verdict: Valid}
	for name, c := range map[string]struct {
		site BlockSite
		says string
	}{
		"good":          {BlockSite{Kind: BlockStall, Count: 1, TotalUs: 4, P50Us: 4, MaxUs: 4}, ""},
		"unknown kind":  {BlockSite{Kind: "nap"}, `blocks: site 0: kind "nap"`},
		"no number":     {BlockSite{Kind: BlockBody, MaxUs: math.NaN()}, "NaN us"},
		"negative time": {BlockSite{Kind: BlockCallback, TotalUs: -1}, "-1 us"},
	} {
		trial.Blocks = &Blocks{Sites: []BlockSite{c.site}}
		if err := trial.Check(); c.says == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.says, name)
		}
	}
}
