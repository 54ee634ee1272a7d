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
			require.True(t, bytes.Equal(model.Bytes(), u.b), "seed %d", seed)
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
				o.writeBlock(NewBlock(p))
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
		require.True(t, bytes.Equal(model.Bytes(), bytes.Join(c.Output(make([][]byte, 0, len(o.segs))), nil)), "seed %d", seed)
		o.release(&pool)
		require.Zero(t, o.bytes)
	}
}

// A queue that is always long moves its segments rarely: the work is linear.
func TestOutputLongQueueIsLinear(t *testing.T) {
	var pool bufferPool
	var o output
	block := NewBlock([]byte("x"))
	for range 1 << 10 {
		o.writeBlock(block)
	}
	for range 1 << 12 {
		o.sent(&pool, 1)
		o.writeBlock(block)
	}
	require.Equal(t, 1<<10, o.bytes)
	require.LessOrEqual(t, cap(o.segs), 1<<13, "sent segments pile up")
	require.GreaterOrEqual(t, cap(o.segs), 3<<9, "without room to spare every push moves the queue")
}

func TestPoolReusesAndBounds(t *testing.T) {
	var pool bufferPool
	a := pool.take(10)
	require.Len(t, a.b, smallChunk)
	pool.put(a)
	require.Same(t, a, pool.take(smallChunk))
	big := pool.take(smallChunk + 1)
	require.Len(t, big.b, largeChunk)
	pool.put(big)
	require.Same(t, big, pool.take(10*largeChunk))
	for range poolKeep/largeChunk + 5 {
		pool.put(&chunk{b: make([]byte, largeChunk)})
	}
	require.Equal(t, poolKeep/largeChunk, pool.largeKept)
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
