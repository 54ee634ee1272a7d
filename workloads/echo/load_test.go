package echo_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/workloads/echo"
)

// TestLoadSizes: frames of each size come back whole, in pieces and several at
// once; a byte that differs is an error.
func TestLoadSizes(t *testing.T) {
	for _, size := range []int{0, 16, 17, 64, 1024, echo.MaxSize} {
		l := echo.Load{Size: size}
		require.NoError(t, l.Check())
		c, want := l.Client(3, 7), max(size, echo.FrameBytes)
		var wire []byte
		for i := range 300 {
			var tag uint32
			wire, tag, _ = c.Request(wire)
			require.EqualValues(t, i, tag)
		}
		require.Len(t, wire, 300*want)

		n, tags, err := c.Received(wire[:want-1], nil)
		require.NoError(t, err)
		require.Zero(t, n)
		require.Empty(t, tags)
		n, tags, err = c.Received(wire[:len(wire)-1], nil)
		require.NoError(t, err)
		require.Equal(t, len(wire)-want, n)
		require.Len(t, tags, 299)

		if want == echo.FrameBytes {
			continue
		}
		wire[len(wire)-1]++
		_, tags, err = c.Received(wire[299*want:], nil)
		require.ErrorContains(t, err, "tag 299 did not come back")
		require.Empty(t, tags)
	}
}

// TestLoadPaddingDiffers: the padding of one frame is no other's.
func TestLoadPaddingDiffers(t *testing.T) {
	c := echo.Load{Size: 64}.Client(0, 1)
	a, _, _ := c.Request(nil)
	b, _, _ := c.Request(nil)
	copy(b[16:], a[16:])
	_, _, err := c.Received(b, nil)
	require.ErrorContains(t, err, "did not come back")
}

func TestLoadCheck(t *testing.T) {
	require.ErrorContains(t, echo.Load{Size: 15}.Check(), "want 16 to 65536")
	require.ErrorContains(t, echo.Load{Size: echo.MaxSize + 1}.Check(), "want 16 to 65536")
	require.ErrorContains(t, echo.Load{Size: 17, DiskShare: 0.5}.Check(), "16 bytes only")
	require.ErrorContains(t, echo.Load{DiskShare: 1.5}.Check(), "want 0 to 1")
	require.NoError(t, echo.Load{Size: 16, DiskShare: 0.5}.Check())
}

// TestLoadAllocs: neither a request nor its answer costs an allocation.
func TestLoadAllocs(t *testing.T) {
	c := echo.Load{Size: 256}.Client(0, 1)
	wire, tags := make([]byte, 0, 4096), make([]uint32, 0, 16)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		wire, _, _ = c.Request(wire[:0])
		_, tags, _ = c.Received(wire, tags[:0])
	}))
}
