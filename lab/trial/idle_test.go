package trial

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestIdleParts(t *testing.T) {
	require.Equal(t, []int{100_000}, (&Idle{Conns: 100_000}).Parts(1000, 1<<20))
	require.Equal(t, []int{0}, (&Idle{}).Parts(1000, 20_000))
	require.Equal(t, []int{15_834, 16_834, 16_834, 16_834, 16_834, 16_830}, (&Idle{Conns: 100_000}).Parts(1000, 20_000))
}

// Every connection is in one part, and no process has more than it may.
func TestIdlePartsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := rapid.IntRange(filesReserve+1, 50_000).Draw(t, "files")
		active := rapid.IntRange(0, files-filesReserve).Draw(t, "active")
		i := Idle{Conns: rapid.IntRange(0, 300_000).Draw(t, "idle")}
		sum := 0
		for k, n := range i.Parts(active, files) {
			sum += n
			if k == 0 {
				n += active
			}
			if n < 0 || n > files-filesReserve {
				t.Fatalf("process %d has %d connections, may have %d files", k, n, files)
			}
		}
		if sum != i.Conns {
			t.Fatalf("%d of %d connections", sum, i.Conns)
		}
	})
}
