package runtime

import (
	"encoding/json"
	"fmt"
	"math/bits"
)

const (
	blockSubBits    = 2 // four buckets per power of two: a quantile is right within a fifth
	blockSub        = 1 << blockSubBits
	blockPowerMin   = 10 // the first bucket ends at 2^10 ns
	blockPowerMax   = 37 // the last begins at 137 s
	blockBucketsLen = (blockPowerMax-blockPowerMin)*blockSub + 1
)

// BlockHistogram counts lengths in logarithmic buckets of fixed number: from
// 1 us on, four for each doubling. Bucket 0 holds what was shorter.
type BlockHistogram [blockBucketsLen]uint64

// MarshalJSON gives the buckets that are not empty: [index, count] each, with
// the index as BlockBucketNs takes it.
func (h BlockHistogram) MarshalJSON() ([]byte, error) {
	pairs := [][2]uint64{}
	for i, n := range h {
		if n > 0 {
			pairs = append(pairs, [2]uint64{uint64(i), n})
		}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON is the reverse.
func (h *BlockHistogram) UnmarshalJSON(b []byte) error {
	var pairs [][2]uint64
	if err := json.Unmarshal(b, &pairs); err != nil {
		return err
	}
	*h = BlockHistogram{}
	for _, p := range pairs {
		if p[0] >= blockBucketsLen {
			return fmt.Errorf("runtime: a block histogram has %d buckets, and no bucket %d", blockBucketsLen, p[0])
		}
		h[p[0]] = p[1]
	}
	return nil
}

func blockBucket(ns int64) int {
	power := bits.Len64(uint64(max(ns, 0))) - 1
	if power < blockPowerMin {
		return 0
	}
	if power >= blockPowerMax {
		return blockBucketsLen - 1
	}
	sub := int(ns>>(power-blockSubBits)) - blockSub
	return (power-blockPowerMin)*blockSub + sub + 1
}

// BlockBucketNs are the bounds of bucket i of a BlockHistogram: from, included, to.
func BlockBucketNs(i int) (from, to int64) {
	if i == 0 {
		return 0, 1 << blockPowerMin
	}
	power, sub := (i-1)/blockSub+blockPowerMin, int64((i-1)%blockSub)
	from = (blockSub + sub) << (power - blockSubBits)
	return from, from + 1<<(power-blockSubBits)
}

func (t *BlockTimes) add(ns int64) {
	ns = max(ns, 0)
	t.Count++
	t.TotalNs += uint64(ns)
	t.MaxNs = max(t.MaxNs, uint64(ns))
	t.Histogram[blockBucket(ns)]++
}

// Add adds the blocks of o.
func (t *BlockTimes) Add(o *BlockTimes) {
	t.Count += o.Count
	t.TotalNs += o.TotalNs
	t.MaxNs = max(t.MaxNs, o.MaxNs)
	for i, n := range o.Histogram {
		t.Histogram[i] += n
	}
}

func (t *BlockTimes) subtract(o *BlockTimes) {
	t.Count -= o.Count
	t.TotalNs -= o.TotalNs
	highest := int64(0)
	for i, n := range o.Histogram {
		t.Histogram[i] -= n
		if t.Histogram[i] > 0 {
			_, highest = BlockBucketNs(i)
		}
	}
	t.MaxNs = min(t.MaxNs, uint64(highest))
}

// QuantileNs is a length that the share q (0..1) of the blocks did not exceed,
// right within a fifth: the middle of its bucket, but not more than the longest.
func (t *BlockTimes) QuantileNs(q float64) int64 {
	rank, n := uint64(q*float64(t.Count)), uint64(0)
	for i, c := range t.Histogram {
		if n += c; n > rank || n == t.Count && c > 0 {
			from, to := BlockBucketNs(i)
			return min(from+(to-from)/2, int64(t.MaxNs))
		}
	}
	return 0
}
