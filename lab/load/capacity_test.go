package load

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/workloads/script"
)

// TestCalibrate: the peer gives what was recorded, over and over, to several threads.
func TestCalibrate(t *testing.T) {
	s := serve(t, nil)
	for _, hello := range []bool{false, true} {
		c, err := Calibrate(t.Context(), CalibrateConfig{Workload: "tagged", Load: tagged{window: 16, hello: hello}, Target: s.target(), Threads: 2, Conns: 4, For: 300 * time.Millisecond})
		require.NoError(t, err)
		require.Empty(t, c.Unavailable)
		require.Positive(t, c.PerS)
		require.GreaterOrEqual(t, c.ByBusyTimePerS, 0.9*c.PerS)
		require.Positive(t, c.PacingP99Us)
		require.LessOrEqual(t, c.PacingRate, c.PerS/2)
		require.Equal(t, 2, c.Threads)
	}
}

// TestRecordingRepeats: more requests than were recorded, on one connection.
func TestRecordingRepeats(t *testing.T) {
	s := serve(t, nil)
	r, err := record(t.Context(), tagged{window: 16, hello: true}, s.target())
	require.NoError(t, err)
	require.Equal(t, recordMost, r.exchanges())
	const keep = 4 // of them
	r.asked, r.answered = r.asked[:keep+1], r.answered[:keep+1]
	p, err := newPeer(r, nil)
	require.NoError(t, err)
	rep := mustRun(t, Config{Target: p.target, Conns: 2, Mode: Closed, Duration: 300 * time.Millisecond, Load: repeated{tagged{window: 16, hello: true}, r}})
	require.Zero(t, rep.Counts.Errors())
	require.Greater(t, rep.Counts.Answered, int64(3*keep))
	require.NoError(t, p.stop())
}

type delivering struct{ tagged }

func (delivering) DeliveryBytes() int { return 8 }

var _ script.Deliverer = delivering{}

// TestNotCalibrated: what cannot be said is said so.
func TestNotCalibrated(t *testing.T) {
	s := serve(t, nil)
	c, err := Calibrate(t.Context(), CalibrateConfig{Load: delivering{tagged{window: 16}}, Target: s.target()})
	require.NoError(t, err)
	require.Contains(t, c.Unavailable, "fan-out")
	c, err = Calibrate(t.Context(), CalibrateConfig{Load: tagged{window: 16}, Target: "127.0.0.1:1"})
	require.NoError(t, err)
	require.Contains(t, c.Unavailable, "refused")
	mute := serve(t, func(net.Conn, int, []byte) bool { return false })
	c, err = Calibrate(t.Context(), CalibrateConfig{Load: tagged{window: 16}, Target: mute.target()})
	require.NoError(t, err)
	require.Contains(t, c.Unavailable, "record answers")
	_, err = Calibrate(t.Context(), CalibrateConfig{})
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Calibrate(ctx, CalibrateConfig{Load: tagged{window: 16}, Target: s.target()})
	require.ErrorIs(t, err, context.Canceled)
}

func TestNearCapacity(t *testing.T) {
	r := &Report{Mode: Open, DurationS: 1, Offered: 900, Throughput: 900, Self: Self{Busy: 0.7}}
	r.Counts = Counts{Intended: 900, Answered: 900, AnsweredInWindow: 900}
	require.Empty(t, r.suspicions(&Config{Capacity: 2000}))
	require.Contains(t, r.suspicions(&Config{Capacity: 1000})[0], "90 % of the 1000/s")
}
