//go:build linux

package uring

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestExactlyOneLastCompletion does ops of many kinds in random order, batches and
// chains on a small ring that overflows now and then, and cancels some. Each must
// end exactly once, and Pending must agree at every step.
func TestExactlyOneLastCompletion(t *testing.T) {
	flushes := uint64(0)
	for seed := range uint64(20) {
		r := openTest(t, Config{Entries: 8}, PollMultishot, OpRecv, OpCancel, OpLinkTimeout, CQESkip)
		_, idle := socketpair(t)
		h := &history{r: r, rng: rand.New(rand.NewPCG(seed, 7)), idle: idle, buf: make([]byte, 64)}
		for range 300 {
			h.step(t)
			require.Equal(t, len(h.open), r.Pending(), "seed %d", seed)
		}
		for ud := range h.open {
			h.begin() // the cancel itself
			r.Next(h.last).PrepCancel(ud, false)
			h.reap(t)
		}
		for len(h.open) > 0 {
			_, err := r.SubmitAndWait(1, patience)
			require.NoError(t, err)
			require.NotZero(t, r.Ready(), "seed %d: %d ops never end", seed, len(h.open))
			h.reap(t)
		}
		require.Zero(t, r.Pending())
		flushes += r.Stats.OverflowFlushes
		require.NoError(t, r.Close())
	}
	require.NotZero(t, flushes, "the queue never overflowed: the test lost its edge")
}

// history knows which ops owe their last completion.
type history struct {
	r    *Ring
	rng  *rand.Rand
	idle int // a socket on which nothing arrives
	buf  []byte
	last uint64
	open map[uint64]bool
}

// begin notes a new op and gives its user data.
func (h *history) begin() uint64 {
	if h.open == nil {
		h.open = make(map[uint64]bool)
	}
	h.last++
	h.open[h.last] = true
	return h.last
}

// step queues something, or submits, or harvests.
func (h *history) step(t *testing.T) {
	r := h.r
	switch h.rng.IntN(10) {
	case 0, 1:
		r.Next(h.begin()).PrepNop()
	case 2:
		r.NextTimeout(h.begin(), int64(h.rng.IntN(50_000)))
	case 3:
		r.Next(h.begin()).PrepRecv(h.idle, h.buf, 0)
	case 4:
		r.Next(h.begin()).PrepPollMultishot(h.idle, unix.POLLIN)
	case 5:
		victim := 1 + h.rng.Uint64N(h.last+1)
		r.Next(h.begin()).PrepCancel(victim, false)
	case 6: // a chain that breaks in its midst
		require.NoError(t, r.Reserve(3))
		r.Next(h.begin()).PrepNop().Link()
		r.Next(h.begin()).PrepClose(-1).Link()
		r.Next(h.begin()).PrepNop()
	case 7:
		require.NoError(t, r.Reserve(2))
		r.Next(h.begin()).PrepRecv(h.idle, h.buf, 0).Link()
		r.NextLinkTimeout(h.begin(), int64(h.rng.IntN(50_000)))
	case 8: // one completion for the chain
		require.NoError(t, r.Reserve(2))
		r.SkipSuccess(r.Next(h.last + 1).PrepNop().Link())
		r.Next(h.begin()).PrepNop()
	case 9:
		_, err := r.SubmitAndWait(h.rng.IntN(3), int64(h.rng.IntN(20_000)))
		require.NoError(t, err)
		h.reap(t)
	}
}

// reap harvests some completions.
func (h *history) reap(t *testing.T) {
	batch := make([]CQE, 1+h.rng.IntN(20))
	for i := range h.r.Harvest(batch) {
		c := &batch[i]
		require.True(t, h.open[c.UserData()], "op %d ended twice, or never began", c.UserData())
		if !c.More() {
			delete(h.open, c.UserData())
		}
	}
}
