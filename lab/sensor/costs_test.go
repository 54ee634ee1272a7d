package sensor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCosts: every sensor is there, with a cost or a reason.
func TestCosts(t *testing.T) {
	infos := Costs(nil)
	require.Len(t, infos, len(kinds))
	for i, info := range infos {
		require.Equal(t, kinds[i].name, info.Name)
		require.NotEmpty(t, info.Source)
		require.NotEmpty(t, info.Quantities)
		require.Len(t, info.Units, len(info.Quantities))
		if info.Unavailable != "" {
			require.Nil(t, info.OverheadNs)
			t.Logf("%-14s unavailable: %s", info.Name, info.Unavailable)
			continue
		}
		require.NotNil(t, info.OverheadNs, info.Name)
		require.Equal(t, kinds[i].perEvent, info.PerEvent)
		if info.PerEvent == "" {
			require.Positive(t, *info.OverheadNs, info.Name)
		}
		t.Logf("%-14s %8.0f ns per %s", info.Name, *info.OverheadNs, firstText(info.PerEvent, "reading"))
	}
}

func TestMedian(t *testing.T) {
	require.Equal(t, 2.0, median([]float64{3, 1, 2}))
	require.Equal(t, 2.0, median([]float64{4, 3, 1, 2}))
	require.Zero(t, median(nil))
}
