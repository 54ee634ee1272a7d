package echo_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
	"github.com/syslet/syslet/workloads/echo"
)

// TestHandicapDelay: of 2,000 requests the share that was asked for is late, by just
// so much of simulated time, every one is answered once with its own bytes, and the
// same seed picks the same ones.
func TestHandicapDelay(t *testing.T) {
	const n, delay = 2000, 3 * time.Millisecond
	lateOf := func(seed uint64) (tags []uint32) {
		m, err := simdriver.New(1, runtime.Options{}, simdriver.Faults{})
		require.NoError(t, err)
		cfg := echo.Config{Handicap: echo.Handicap{Delay: delay, Share: 0.1, Seed: seed}}
		require.NoError(t, m.Server().Start(cfg.NewApp))
		p := m.Dial()
		seen := map[uint32]bool{}
		read := func() {
			for b := p.ReadAll(); len(b) > 0; b = b[echo.FrameBytes:] {
				tag := binary.LittleEndian.Uint32(b[4:])
				require.False(t, seen[tag])
				seen[tag] = true
			}
		}
		for tag := range uint32(n) {
			frame := make([]byte, echo.FrameBytes)
			binary.LittleEndian.PutUint32(frame[4:], tag)
			require.True(t, p.Write(frame))
		}
		require.NoError(t, m.RunFor(delay*9/10))
		read()
		for tag := range uint32(n) {
			if !seen[tag] {
				tags = append(tags, tag)
			}
		}
		require.NoError(t, m.RunFor(delay))
		read()
		require.Len(t, seen, n)
		require.NoError(t, m.Err())
		return tags
	}
	first := lateOf(5)
	require.InDelta(t, n/10, len(first), n/50)
	require.Equal(t, first, lateOf(5))
	require.NotEqual(t, first, lateOf(6))
}

// TestHandicapCPU: each whole request costs at least what was asked for; half of one
// waits for its other half, and costs nothing.
func TestHandicapCPU(t *testing.T) {
	m, err := simdriver.New(1, runtime.Options{}, simdriver.Faults{})
	require.NoError(t, err)
	cfg := echo.Config{Handicap: echo.Handicap{CPU: time.Millisecond}}
	require.NoError(t, m.Server().Start(cfg.NewApp))
	p, began := m.Dial(), time.Now()
	require.True(t, p.Write(make([]byte, 10*echo.FrameBytes+echo.FrameBytes/2)))
	require.NoError(t, m.RunFor(time.Second))
	require.Len(t, p.ReadAll(), 10*echo.FrameBytes)
	require.GreaterOrEqual(t, time.Since(began), 10*time.Millisecond)
	require.True(t, p.Write(make([]byte, echo.FrameBytes/2)))
	require.NoError(t, m.RunFor(time.Second))
	require.Len(t, p.ReadAll(), echo.FrameBytes)
}

// TestHandicapGone: an answer that comes due when its connection is gone is dropped.
func TestHandicapGone(t *testing.T) {
	m, err := simdriver.New(1, runtime.Options{}, simdriver.Faults{})
	require.NoError(t, err)
	cfg := echo.Config{Handicap: echo.Handicap{Delay: time.Millisecond, Share: 1}}
	require.NoError(t, m.Server().Start(cfg.NewApp))
	p := m.Dial()
	require.True(t, p.Write(make([]byte, echo.FrameBytes)))
	require.NoError(t, m.RunFor(100*time.Microsecond))
	p.Reset()
	require.NoError(t, m.RunFor(10*time.Millisecond))
	require.Empty(t, p.ReadAll())
	require.NoError(t, m.Err())
}

func TestHandicapCheck(t *testing.T) {
	for _, bad := range []echo.Config{
		{Handicap: echo.Handicap{CPU: -1}}, {Handicap: echo.Handicap{Delay: time.Millisecond}}, {Handicap: echo.Handicap{Share: 0.1}},
		{Handicap: echo.Handicap{Delay: 1, Share: 2}}, {Handicap: echo.Handicap{Delay: -1, Share: 0.1}},
		{DiskFile: "x", Handicap: echo.Handicap{CPU: 1}},
	} {
		require.Error(t, bad.Check(), "%+v", bad)
	}
	require.NoError(t, echo.Config{Handicap: echo.Handicap{CPU: 1, Delay: 1, Share: 1}}.Check())
}

// BenchmarkPlain is the server without a handicap: what its flags must not make dearer.
func BenchmarkPlain(b *testing.B) {
	m, err := simdriver.New(1, runtime.Options{}, simdriver.Faults{})
	require.NoError(b, err)
	require.NoError(b, m.Server().Start(echo.Config{}.NewApp))
	p, frame := m.Dial(), make([]byte, echo.FrameBytes)
	b.ReportAllocs()
	for b.Loop() {
		p.Write(frame)
		for len(p.ReadAll()) == 0 {
			m.Step()
		}
	}
}
