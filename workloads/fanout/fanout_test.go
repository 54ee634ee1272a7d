package fanout_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fanout"
)

// patience bounds every wait; no test relies on its length.
const patience = 15 * time.Second

func eachModel(t *testing.T, run func(t *testing.T, model string)) {
	for _, model := range models.AllNames() {
		t.Run(model, func(t *testing.T) {
			if err := models.Refused(model); err != nil {
				t.Skip(err)
			}
			run(t, model)
		})
	}
}

func serve(t testing.TB, model string, o runtime.Options) *runtime.Server {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	srv, err := models.Open(model, o)
	require.NoError(t, err)
	require.NoError(t, srv.Start(fanout.NewApp))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Stop(ctx))
	})
	return srv
}

// dialAll opens n connections and waits until the server has them.
func dialAll(t testing.TB, srv *runtime.Server, n int) []*net.TCPConn {
	t.Helper()
	conns := make([]*net.TCPConn, n)
	for i := range conns {
		c, err := net.DialTimeout("tcp", srv.Addr().String(), patience)
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		t.Cleanup(func() { c.Close() })
		conns[i] = c.(*net.TCPConn)
	}
	waitFor(t, srv, func(st *runtime.Stats) bool { return st.Conns == uint64(n) })
	return conns
}

func waitFor(t testing.TB, srv *runtime.Server, ok func(st *runtime.Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		st, err := srv.Stats(ctx)
		require.NoError(t, err)
		if ok(&st) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// said is the number-th message of a sender; its size and payload follow from that.
func said(sender, number uint32, sizeMax int) []byte {
	rng := rand.New(rand.NewPCG(uint64(sender), uint64(number)))
	m := make([]byte, fanout.HeaderBytes+rng.IntN(sizeMax-fanout.HeaderBytes+1))
	for i := range m {
		m[i] = byte(i) + byte(sender) + byte(number)
	}
	binary.LittleEndian.PutUint32(m, uint32(len(m)))
	binary.LittleEndian.PutUint32(m[4:], number)
	binary.LittleEndian.PutUint32(m[8:], sender)
	return m
}

// say writes the messages of a sender in pieces that do not end where they do.
func say(c net.Conn, sender uint32, messages, sizeMax int) error {
	var wire []byte
	for number := range uint32(messages) {
		wire = append(wire, said(sender, number, sizeMax)...)
	}
	rng := rand.New(rand.NewPCG(uint64(sender), 1))
	for len(wire) > 0 {
		n := min(len(wire), 1+rng.IntN(2*sizeMax))
		if _, err := c.Write(wire[:n]); err != nil {
			return err
		}
		wire = wire[n:]
	}
	return nil
}

// hear reads until all that the senders say has come: every message once, whole,
// each sender's in order.
func hear(c net.Conn, senders, messages, sizeMax int) error {
	next := make([]uint32, senders)
	r := bufio.NewReaderSize(c, 64<<10)
	buf := make([]byte, fanout.MaxBytes)
	for range senders * messages {
		if _, err := io.ReadFull(r, buf[:fanout.HeaderBytes]); err != nil {
			return fmt.Errorf("heard %v of %d each: %w", next, messages, err)
		}
		size, sender := binary.LittleEndian.Uint32(buf), binary.LittleEndian.Uint32(buf[8:])
		if size < fanout.HeaderBytes || size > uint32(sizeMax) || sender >= uint32(senders) {
			return fmt.Errorf("header of %d bytes from %d", size, sender)
		}
		m := buf[:size]
		if _, err := io.ReadFull(r, m[fanout.HeaderBytes:]); err != nil {
			return err
		}
		if want := said(sender, next[sender], sizeMax); !bytes.Equal(m, want) {
			return fmt.Errorf("of sender %d came number %d with %d bytes, want number %d with %d, or other bytes", sender,
				binary.LittleEndian.Uint32(m[4:]), size, next[sender], len(want))
		}
		next[sender]++
	}
	return nil
}

// chat has the first senders of conns say something and all of heard hear it.
func chat(t *testing.T, conns, heard []*net.TCPConn, senders, messages, sizeMax int) {
	t.Helper()
	errs := make(chan error, senders+len(heard))
	for i := range senders {
		go func() { errs <- say(conns[i], uint32(i), messages, sizeMax) }()
	}
	for _, c := range heard {
		go func() { errs <- hear(c, senders, messages, sizeMax) }()
	}
	var all []error
	for range cap(errs) {
		all = append(all, <-errs)
	}
	require.NoError(t, errors.Join(all...))
}

// TestAllHearAll: every connection of every shard gets every message, whole and in
// its sender's order, while connections come and go.
func TestAllHearAll(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		for _, shards := range []int{1, 3} {
			for _, n := range []int{2, 50, 500} {
				t.Run(fmt.Sprintf("shards=%d/conns=%d", shards, n), func(t *testing.T) {
					srv := serve(t, model, runtime.Options{Shards: shards})
					conns := dialAll(t, srv, n+n/10)
					for _, c := range conns[n:] { // leave again: places are used again
						require.NoError(t, c.Close())
					}
					waitFor(t, srv, func(st *runtime.Stats) bool { return st.Conns == uint64(n) })
					chat(t, conns, conns[:n], min(n, 8), 25, 700)
				})
			}
		}
	})
}

// TestFullMailboxes: what another shard's mailbox has no room for is not lost.
func TestFullMailboxes(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{Shards: 3, MailboxSlots: 2, MailboxBacklog: 1})
		conns := dialAll(t, srv, 30)
		chat(t, conns, conns, 20, 100, 3000)
		waitFor(t, srv, func(st *runtime.Stats) bool { return st.MailReceived == st.MailSent })
	})
}

// TestLongestMessages: messages of the largest size, and whole turns full of them.
func TestLongestMessages(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{Shards: 2, MaxUnsent: 256 << 20, MaxUnread: 4 << 20})
		conns := dialAll(t, srv, 5)
		chat(t, conns, conns, 5, 20, fanout.MaxBytes)
	})
}

// TestSlowReader: one who does not read for long gets everything in the end, as it
// was said, and nobody waits for him.
func TestSlowReader(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{MaxUnsent: 256 << 20})
		conns := dialAll(t, srv, 11)
		slow := conns[10]
		const senders, messages = 5, 100 // 16 MB: more than the kernel takes for him
		chat(t, conns, conns[:10], senders, messages, fanout.MaxBytes)
		require.Positive(t, unsent(srv), "the server has nothing left for the slow reader")
		require.NoError(t, hear(slow, senders, messages, fanout.MaxBytes))
	})
}

// unsent is what the server holds for all connections of its first shard.
func unsent(srv *runtime.Server) (n int) {
	var wg sync.WaitGroup
	wg.Add(1)
	srv.Shards()[0].Do(func(s *runtime.Shard) {
		defer wg.Done()
		for slot := range 11 {
			if c := s.ConnInSlot(slot); c != nil {
				n += c.Unsent()
			}
		}
	})
	wg.Wait()
	return n
}

// TestReaderTooSlow: at the limit he is closed, and the others hear on.
func TestReaderTooSlow(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{MaxUnsent: 4 << 20})
		conns := dialAll(t, srv, 3)
		got := make([]byte, fanout.MaxBytes)
		for number := range uint32(600) {
			// One by one, so that those who read are never slow themselves.
			m := said(0, number, fanout.MaxBytes)
			_, err := conns[0].Write(m)
			require.NoError(t, err)
			for _, c := range conns[:2] {
				_, err := io.ReadFull(c, got[:len(m)])
				require.NoError(t, err, "message %d", number)
				require.Equal(t, m, got[:len(m)], "message %d", number)
			}
		}
		waitFor(t, srv, func(st *runtime.Stats) bool { return st.ClosedByLimit == 1 && st.Conns == 2 })
	})
}

// TestBadLength: a length outside the bounds ends its connection, after what was
// whole before it; the others hear that and go on.
func TestBadLength(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		for _, size := range []uint32{0, fanout.HeaderBytes - 1, fanout.MaxBytes + 1, 1<<32 - 1} {
			srv := serve(t, model, runtime.Options{})
			conns := dialAll(t, srv, 2)
			_, err := conns[0].Write(binary.LittleEndian.AppendUint32(said(0, 0, 100), size))
			require.NoError(t, err)
			require.NoError(t, hear(conns[1], 1, 1, 100))
			rest, err := io.ReadAll(conns[0])
			require.NoError(t, err)
			require.Equal(t, said(0, 0, 100), rest)
			chat(t, conns[1:], conns[1:], 1, 3, 100)
		}
	})
}
