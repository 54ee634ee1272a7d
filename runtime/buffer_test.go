package runtime

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestUnreadAgainstModel(t *testing.T) {
	var pool bufferPool
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		var u unread
		var model bytes.Buffer
		for range 100 {
			if r.IntN(2) == 0 {
				p := randomBytes(r, 1+r.IntN(1<<r.IntN(18)))
				u.append(&pool, p)
				model.Write(p)
			} else if u.len() > 0 {
				n := 1 + r.IntN(u.len())
				u.consume(&pool, n)
				model.Next(n)
			}
			require.Equal(t, model.Len(), u.len(), "seed %d", seed)
			require.True(t, bytes.Equal(model.Bytes(), u.bytes()), "seed %d", seed)
			if u.len() == 0 && u.c != nil {
				t.Fatalf("seed %d: an empty buffer keeps its chunk", seed)
			}
		}
		u.release(&pool)
	}
}

// Random writes, shared blocks and partial sends; what was handed out does not
// move before it is sent.
func TestOutputAgainstModel(t *testing.T) {
	var pool bufferPool
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		var o output
		var model bytes.Buffer
		for range 200 {
			switch r.IntN(3) {
			case 0:
				p := randomBytes(r, 1+r.IntN(1<<r.IntN(17)))
				o.write(&pool, p)
				model.Write(p)
			case 1:
				p := randomBytes(r, 1+r.IntN(100))
				o.writeBlock(&pool, NewBlock(p))
				model.Write(p)
			case 2:
				c := &Conn{out: o}
				views := c.Output(make([][]byte, 0, 1+r.IntN(8)))
				held := bytes.Join(views, nil)
				o.write(&pool, []byte("more")) // while the kernel holds the views
				model.WriteString("more")
				require.Equal(t, held, bytes.Join(views, nil), "seed %d: views changed", seed)
				if len(held) == 0 {
					continue
				}
				n := 1 + r.IntN(len(held))
				require.True(t, bytes.Equal(model.Next(n), held[:n]), "seed %d", seed)
				o.sent(&pool, n)
			}
			require.Equal(t, model.Len(), o.bytes, "seed %d", seed)
		}
		c := &Conn{out: o}
		require.True(t, bytes.Equal(model.Bytes(), bytes.Join(c.Output(make([][]byte, 0, 1000)), nil)), "seed %d", seed)
		o.release(&pool)
		require.Zero(t, o)
	}
}

// A queue that is always long moves its segments rarely: the work is linear.
func TestOutputLongQueueIsLinear(t *testing.T) {
	var pool bufferPool
	var o output
	block := NewBlock([]byte("x"))
	for range 1 << 10 {
		o.writeBlock(&pool, block)
	}
	for range 1 << 12 {
		o.sent(&pool, 1)
		o.writeBlock(&pool, block)
	}
	require.Equal(t, 1<<10, o.bytes)
	require.LessOrEqual(t, cap(o.q.segs), 1<<13, "sent segments pile up")
	require.GreaterOrEqual(t, cap(o.q.segs), 3<<9, "without room to spare every push moves the queue")
}

func TestPoolReusesAndBounds(t *testing.T) {
	var pool bufferPool
	for _, size := range []int{tinyChunk, smallChunk, largeChunk} {
		c := pool.take(size)
		require.Len(t, c.b, size)
		pool.put(c)
		require.Same(t, c, pool.take(size))
	}
	big := pool.take(10 * largeChunk)
	require.Len(t, big.b, largeChunk)
	for range poolKeep/largeChunk + 5 {
		pool.put(&chunk{b: make([]byte, largeChunk), class: largeClass})
	}
	require.Equal(t, poolKeep/largeChunk, pool.levels[largeClass].kept)
}

// What was needed in the last period stays, the rest goes, a part at a time.
func TestPoolIsTrimmed(t *testing.T) {
	var pool bufferPool
	use := func(n int) {
		var cs []*chunk
		var os []*output
		for range n {
			o := &output{}
			o.writeBlock(&pool, NewBlock([]byte("x")))
			cs, os = append(cs, pool.take(smallChunk)), append(os, o)
		}
		for i := range n {
			pool.put(cs[i])
			os[i].release(&pool)
		}
	}
	kept := func() [2]int { return [2]int{pool.levels[smallClass].kept, pool.queuesLevel.kept} }
	use(10)
	require.False(t, pool.ample)
	use(1000)
	require.True(t, pool.ample)
	require.Equal(t, trimEvery, pool.trim(), "all were needed just now")
	require.Equal(t, [2]int{1000, 1000}, kept())
	use(700)
	for pool.trim() == trimSoon {
	}
	require.Equal(t, [2]int{700, 700}, kept())
	require.True(t, pool.ample)
	require.Equal(t, trimSoon, pool.trim())
	require.Equal(t, 1400-trimMost, pool.levels[smallClass].kept+pool.queuesLevel.kept)
	for pool.ample {
		pool.trim()
	}
	require.Equal(t, [2]int{poolClasses[smallClass].least, queuesLeast}, kept())
	n := 0
	for c := pool.chunks[smallClass]; c != nil; c = c.next {
		n++
	}
	require.Equal(t, poolClasses[smallClass].least, n)
}

// A queue that is empty keeps nothing alive, whatever it held.
func TestEmptyQueueHoldsNothing(t *testing.T) {
	var pool bufferPool
	for _, n := range []int{1, 2, 5, 100} {
		var o output
		for range n {
			o.writeBlock(&pool, NewBlock([]byte("x")))
			o.write(&pool, []byte("y"))
		}
		q := o.q
		o.sent(&pool, 2*n)
		require.Nil(t, o.q)
		for _, s := range append(q.few[:], q.segs[:cap(q.segs)]...) {
			require.Zero(t, s)
		}
	}
}

// Small writes of a turn make one segment, but bytes that a driver was shown stay.
func TestSmallWritesAreOneSegment(t *testing.T) {
	var pool bufferPool
	c := &Conn{}
	p := bytes.Repeat([]byte("p"), 100)
	for range 30 {
		c.out.write(&pool, p)
	}
	require.Len(t, c.Output(make([][]byte, 0, 9)), 1)
	require.Equal(t, 1, pool.levels[tinyClass].kept)
	c.out.sent(&pool, 3000)
	c.out.write(&pool, p)
	shown := c.Output(make([][]byte, 0, 9))
	c.out.write(&pool, bytes.Repeat(p, 3))
	now := c.Output(make([][]byte, 0, 9))
	require.Len(t, now, 2)
	require.Same(t, &shown[0][0], &now[0][0])
	require.Equal(t, bytes.Repeat(p, 4), bytes.Join(now, nil))
}

func TestWriteAllocs(t *testing.T) {
	s := bareShard(t, Options{})
	c := &Conn{shard: s, state: connOpen}
	p, block := make([]byte, 100), NewBlock(make([]byte, 50))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, _ = c.Write(p), c.WriteBlock(block)
		s.Sent(c, 150)
		c.dirty, s.dirty = false, s.dirty[:0]
	}))
	require.Zero(t, c.Unsent())
	require.EqualValues(t, 150*1001, s.Stats.BytesOut)
}

func BenchmarkWriteSent(b *testing.B) {
	b.ReportAllocs()
	s := bareShard(b, Options{})
	c := &Conn{shard: s, state: connOpen}
	p := make([]byte, 100)
	for b.Loop() {
		_ = c.Write(p)
		s.Sent(c, len(p))
		c.dirty, s.dirty = false, s.dirty[:0]
	}
}
