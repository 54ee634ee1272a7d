package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models/nonblock"
	"github.com/syslet/syslet/runtime"
)

// quiet is an App that does nothing.
type quiet struct{}

func (quiet) Opened(*runtime.Conn)               {}
func (quiet) Data(_ *runtime.Conn, p []byte) int { return len(p) }
func (quiet) Closed(*runtime.Conn, error)        {}

// The block profile can be had as text, as JSON and as sums for Prometheus.
func TestBlocksAreShown(t *testing.T) {
	v, err := runtime.New(runtime.Options{Listen: "127.0.0.1:0"}, nonblock.New)
	require.NoError(t, err)
	require.NoError(t, v.Start(func(*runtime.Shard) (runtime.App, error) { return quiet{}, nil }))
	a, err := Start("127.0.0.1:0", Config{Server: v, Model: "nonblock", Workload: "none"})
	require.NoError(t, err)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, a.Stop(ctx))
		require.NoError(t, v.Stop(ctx))
	}()
	y := runtime.NewSyslet(runtime.Fsync(runtime.Imm(-1)))
	v.Shards()[0].BookBlock(y, 0, 3_200_000)

	text := get(t, a, "/debug/blocks")
	require.Contains(t, text, "shard 0: ")
	require.Contains(t, text, "in fsync (op 0)")
	require.Contains(t, text, "1 blocks  total 3.2ms")
	var report runtime.BlockReport
	require.NoError(t, json.Unmarshal([]byte(get(t, a, "/debug/blocks?json")), &report))
	require.Equal(t, runtime.BlockBody, report.Sites[0].Kind)
	require.EqualValues(t, 3_200_000, report.Sites[0].TotalNs)
	metrics := get(t, a, "/metrics")
	require.Contains(t, metrics, `syslet_blocks_total{kind="body",model="nonblock",shard="0",workload="none"} 1`)
	require.Contains(t, metrics, `syslet_block_seconds_total{kind="body",model="nonblock",shard="0",workload="none"} 0.0032`)
	require.Contains(t, metrics, `syslet_blocks_total{kind="callback",`)
}

func get(t *testing.T, a *Admin, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + a.Addr().String() + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}
