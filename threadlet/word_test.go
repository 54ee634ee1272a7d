package threadlet

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWordFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := word(rapid.Uint64().Draw(t, "word"))
		i := rapid.IntRange(0, maxThreads-1).Draw(t, "thread")
		entered := w.enter()
		require.Equal(t, inBody, entered.state())
		require.Equal(t, w.body()+1, entered.body())
		require.Equal(t, w.thread(), entered.thread())
		require.Equal(t, w.epoch(), entered.epoch())

		taken := entered.take(i)
		require.Equal(t, running, taken.state())
		require.Equal(t, i, taken.thread())
		require.Equal(t, (w.epoch()+1)%(1<<epochBits), taken.epoch())
		require.Equal(t, entered.body(), taken.body())

		offer := entered.offer()
		require.Equal(t, offered, offer.state())
		require.Equal(t, w.thread(), offer.thread(), "the giver is named until the offer is accepted")
		require.Equal(t, taken, offer.accept(i))
	})
}

func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64Range(0, 1<<maxPower-1).Draw(t, "ns")
		end := bucketEndNs(bucketOf(ns))
		require.GreaterOrEqual(t, end, ns)
		require.LessOrEqual(t, float64(end), float64(ns)*1.125+1)
	})
	require.Equal(t, numBuckets-1, bucketOf(math.MaxInt64))
	require.Zero(t, bucketOf(-1))
	var r recorder
	h := r.snapshot()
	require.Zero(t, h.QuantileNs(0.5))
	for ns := range int64(1000) {
		r.recordNs(ns)
	}
	h = r.snapshot()
	require.EqualValues(t, 1000, h.Count())
	require.InEpsilon(t, 500, h.QuantileNs(0.5), 0.13)
	require.InEpsilon(t, 990, h.QuantileNs(0.99), 0.13)
}
