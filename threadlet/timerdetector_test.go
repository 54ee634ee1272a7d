package threadlet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatLine(t *testing.T) {
	require.True(t, asleepByStat([]byte("12 (a) b) S 1 2")))
	require.True(t, asleepByStat([]byte("12 (x) D 1")))
	require.False(t, asleepByStat([]byte("12 (S) R 1")))
	require.False(t, asleepByStat([]byte("12 (S)")))
	require.False(t, asleepByStat(nil))
}
