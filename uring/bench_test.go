//go:build linux

package uring

import "testing"

func BenchmarkNop(b *testing.B) {
	r := openTest(b, Config{})
	b.ReportAllocs()
	for b.Loop() {
		r.Next(1).PrepNop()
		if _, err := r.SubmitAndWait(1, -1); err != nil {
			b.Fatal(err)
		}
		for r.Peek() != nil {
			r.Advance(1)
		}
	}
}

// BenchmarkNopBatch64 reports the cost of one of 64 nops.
func BenchmarkNopBatch64(b *testing.B) {
	r := openTest(b, Config{})
	var batch [64]CQE
	b.ReportAllocs()
	for n := 0; n < b.N; n += 64 {
		for i := range 64 {
			r.Next(uint64(i)).PrepNop()
		}
		if _, err := r.SubmitAndWait(64, -1); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < 64; {
			got += r.Harvest(batch[:])
		}
	}
}

// BenchmarkPrep is the queueing alone, without the kernel.
func BenchmarkPrep(b *testing.B) {
	r := openTest(b, Config{})
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		r.Next(1).PrepRecv(3, buf, 0).PollFirst()
		r.dropQueued()
	}
}

// BenchmarkEchoPingPong sends 64 bytes and gets them back, both ends on one ring,
// both receiving multishot.
func BenchmarkEchoPingPong(b *testing.B) {
	r := openTest(b, Config{}, RecvMultishot, BufferRing)
	client, server := socketpair(b)
	bufs, err := r.NewBufRing(1, 8, 64)
	if err != nil {
		b.Fatal(err)
	}
	const fromClient, fromServer, sent = 1, 2, 3
	r.Next(fromClient).PrepRecvMultishot(server, bufs, 0)
	r.Next(fromServer).PrepRecvMultishot(client, bufs, 0)
	if err := r.Submit(); err != nil {
		b.Fatal(err)
	}
	msg, reply := make([]byte, 64), make([]byte, 64)
	enters := r.Stats.Enters
	b.ReportAllocs()
	for b.Loop() {
		r.Next(sent).PrepSend(client, msg, 0)
		for echoed := false; !echoed; {
			if _, err := r.SubmitAndWait(1, -1); err != nil {
				b.Fatal(err)
			}
			for c := r.Peek(); c != nil; c = r.Peek() {
				if bid, ok := c.Buffer(); ok {
					n := copy(reply, bufs.Bytes(bid, int(c.Res())))
					bufs.Recycle(bid)
					if c.UserData() == fromClient {
						r.Next(sent).PrepSend(server, reply[:n], 0)
					} else {
						echoed = true
					}
				} else if c.Res() < 0 {
					b.Fatal(c.Errno())
				}
				r.Advance(1)
			}
			bufs.Commit()
		}
	}
	b.ReportMetric(float64(r.Stats.Enters-enters)/float64(b.N), "enters/op")
}
