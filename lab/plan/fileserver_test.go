package plan

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFileServer: all servers of a level serve the same file at the same rate, and
// the load knows what it is.
func TestFileServer(t *testing.T) {
	es, err := Select([]string{"fileserver"}, false)
	require.NoError(t, err)
	require.True(t, es[0].OptIn)
	require.GreaterOrEqual(t, es[0].Rounds, 10)
	for _, name := range []string{"nginx", "nginx-cached", "net-http", "iouring"} {
		require.Contains(t, es[0].Models, name)
	}
	require.LessOrEqual(t, time.Duration(es[0].Count())*es[0].Duration(), 10*time.Minute)
	for _, s := range Trials(es, 1) {
		level := s.Factors["file_bytes"]
		require.Equal(t, level, strconv.FormatInt(s.SiteBytes, 10))
		require.Equal(t, map[string]float64{"1024": 30000, "65536": 20000}[level], s.Rate)
		require.NotContains(t, s.Factors, "rate")
		require.Contains(t, s.LoadFlags, "/file.txt")
		require.Contains(t, s.ServeFlags, "{dir}/www")
	}
}
