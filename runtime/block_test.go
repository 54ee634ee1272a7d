package runtime

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// mailShards are shards that can post to each other and do nothing else.
func mailShards(n, slots, backlog int) []*Shard {
	v := &Server{opts: Options{Shards: n, MailboxBacklog: backlog}}
	mail := newMatrix(n, slots)
	for i := range n {
		s := &Shard{server: v, opts: &v.opts, index: i, mail: mail, mailTo: make([]bool, n)}
		s.block.init(&v.opts, true)
		v.shards = append(v.shards, s)
	}
	return v.shards
}

func TestBlockUsedAgain(t *testing.T) {
	s := mailShards(1, 2, 0)[0]
	for _, n := range []int{0, 1, 64, 65, 1024, 4097, 1 << largestBlockLog2} {
		b := s.TakeBlock(n)
		require.Len(t, b.Bytes(), n)
		other := s.TakeBlock(n)
		require.NotSame(t, b, other)
		b.Hold()
		b.Release()
		b.Release()
		require.Same(t, b, s.TakeBlock(n), "%d bytes", n)
		other.Release()
	}
	large := s.TakeBlock(1<<largestBlockLog2 + 1)
	large.Release() // not kept, and no harm
	require.Zero(t, testing.AllocsPerRun(100, func() { s.TakeBlock(100).Release() }))
}

func TestBlockPoolIsBounded(t *testing.T) {
	s := mailShards(1, 2, 0)[0]
	var all []*Block
	for range poolKeep>>largestBlockLog2 + 10 {
		all = append(all, s.TakeBlock(1<<largestBlockLog2))
	}
	for _, b := range all {
		b.Release()
	}
	require.Equal(t, poolKeep, s.blockPool.kept)
}

func TestBlockMisuse(t *testing.T) {
	shards := mailShards(2, 2, 0)
	b := shards[0].TakeBlock(1)
	require.Panics(t, func() { shards[1].queueable(b) }, "on another shard")
	require.Panics(t, func() { shards[1].Post(0, &Message{Block: b}) }, "posted by another shard")
	b.Release()
	require.Panics(t, func() { b.Hold() }, "held after its last Release")
	require.Panics(t, func() { b.Release() }, "released twice")
	free := NewBlock([]byte("x"))
	free.Hold()
	free.Release()
	free.Release()
	shards[1].queueable(free)
}

// A block stays as it is for as long as any queue has bytes of it, whatever the
// order in which they are sent or given up.
func TestBlockStaysWhileQueued(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := mailShards(1, 2, 0)[0]
		outs, want := make([]output, 5), make([][]byte, 5)
		check := func(i, n int) {
			for n > 0 {
				seg := &outs[i].q.segs[outs[i].q.first]
				k := min(n, len(seg.b))
				require.Equal(t, want[i][:k], seg.b[:k], "seed %d", seed)
				outs[i].sent(&s.buffers, k)
				want[i], n = want[i][k:], n-k
			}
		}
		for range 300 {
			i := r.IntN(len(outs))
			switch r.IntN(5) {
			case 0, 1:
				b := s.TakeBlock(1 + r.IntN(1<<r.IntN(17)))
				copy(b.Bytes(), randomBytes(r, b.Len()))
				for j := range outs {
					if r.IntN(2) == 0 {
						outs[j].writeBlock(&s.buffers, b)
						want[j] = append(want[j], b.Bytes()...)
					}
				}
				b.Release()
			case 2, 3:
				check(i, r.IntN(outs[i].bytes+1))
			case 4:
				if r.IntN(10) == 0 {
					outs[i].release(&s.buffers)
					want[i] = nil
				}
			}
		}
		for i := range outs {
			check(i, outs[i].bytes)
		}
	}
}

// Blocks that are posted between shards keep their bytes until the receiver has
// read them, come back, and cost no allocation.
func TestBlockBetweenShards(t *testing.T) {
	const n = 50_000
	shards := mailShards(2, 8, 16)
	from, to := shards[0], shards[1]
	var wg sync.WaitGroup
	seen := map[*byte]bool{} // the sender's
	wg.Go(func() {
		for i := uint64(0); i < n; {
			b := from.TakeBlock(100)
			seen[&b.Bytes()[0]] = true
			for k := range b.Bytes() {
				b.Bytes()[k] = byte(i)
			}
			if from.Post(1, &Message{A: i, Block: b}) == Queued {
				i++
			} else {
				yield()
			}
			b.Release()
			from.mail[0][1].refill()
		}
		for from.mail[0][1].waiting() > 0 {
			from.mail[0][1].refill()
			yield()
		}
	})
	got := uint64(0)
	held := []*Block{}
	to.receiver = receiverFunc(func(_ *Shard, _ int, m *Message) {
		require.Equal(t, got, m.A)
		m.Block.Hold()
		held = append(held, m.Block)
		m.Block = nil // a letter is the App's to change
		if len(held) > 5 {
			b := held[0]
			held = slices.Delete(held, 0, 1)
			require.Equal(t, -1, slices.IndexFunc(b.Bytes(), func(x byte) bool { return x != byte(got-5) }))
			b.Release()
		}
		got++
	})
	for got < n {
		to.takeMail()
		yield()
	}
	wg.Wait()
	require.Less(t, len(seen), 50, "blocks do not come back")
}

type receiverFunc func(s *Shard, from int, m *Message)

func (f receiverFunc) Message(s *Shard, from int, m *Message) { f(s, from, m) }
