package bots_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/bots"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/script"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptions(t *testing.T) {
	for _, o := range []bots.Options{{Prefix: "a b"}, {Prefix: "a-prefix-that-is-too-long"}, {Move: -1}, {Token: string(make([]byte, 65))}} {
		_, err := bots.New(o)
		require.ErrorIs(t, err, bots.ErrOptions, "%+v", o)
	}
	l, err := bots.New(bots.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"move", "chat", "ping", "save", "ranking"}, l.Kinds())
	require.Equal(t, "bot7", l.Name(7))
	require.Equal(t, l.Window()&(l.Window()-1), 0)
}

// requests are the first n of a client.
func requests(c script.Client, n int) (all []byte, kinds []int) {
	all = c.Hello(nil)
	kinds = make([]int, 5)
	for range n {
		var kind int
		all, _, kind = c.Request(all)
		kinds[kind]++
	}
	return all, kinds
}

func TestRequestsDependOnIndexAndSeedAlone(t *testing.T) {
	l, err := bots.New(bots.Options{Population: 10})
	require.NoError(t, err)
	a, kinds := requests(l.Client(3, 42), 1000)
	b, _ := requests(l.Client(3, 42), 1000)
	require.Equal(t, a, b)
	c, _ := requests(l.Client(4, 42), 1000)
	d, _ := requests(l.Client(3, 43), 1000)
	require.False(t, bytes.Equal(a, c) || bytes.Equal(a, d))
	for kind, share := range []int{800, 100, 80, 20, 0} {
		require.InDelta(t, share, kinds[kind], float64(share)/2, l.Kinds()[kind])
	}
	for p := a; len(p) > 0; {
		var r proto.Request
		n, err := r.Parse(p)
		require.NoError(t, err)
		require.NotZero(t, n)
		p = p[n:]
	}
	_, only := requests(must(bots.New(bots.Options{Ping: 1})).Client(0, 1), 100)
	require.Equal(t, []int{0, 0, 100, 0, 0}, only)
	_, only = requests(must(bots.New(bots.Options{Rank: 1})).Client(0, 1), 100)
	require.Equal(t, []int{0, 0, 0, 0, 100}, only)
}

func must(l *bots.Load, err error) *bots.Load {
	if err != nil {
		panic(err)
	}
	return l
}

func TestReceivedReportsWhatIsWrong(t *testing.T) {
	l := must(bots.New(bots.Options{}))
	for _, bad := range [][]byte{{0}, {0x92, 2}, {0x87, 1, 7}, {0x84, 64}, {0x87, 255, 6}, {0x81, 1, 0, 0, 0, 0, 0}} {
		c := l.Client(0, 1)
		_, _, err := c.Received(bad, nil)
		require.Error(t, err, "%x", bad)
		require.False(t, c.Ready())
	}
}

func TestBotsAllocateNothing(t *testing.T) {
	c := must(bots.New(bots.Options{})).Client(0, 1)
	buf, tags := make([]byte, 0, 4096), make([]uint32, 0, 64)
	answers := []byte{0x82, 1, 0, 1, 0, 2, 3, 0x84, 2, 0x85}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		buf, _, _ = c.Request(buf[:0])
		n, got, err := c.Received(answers, tags[:0])
		if n != 9 || len(got) != 2 || err != nil {
			panic(err)
		}
	}))
}

// Bots play against a server: each request is answered exactly once.
func TestBotsAgainstServer(t *testing.T) {
	newApp, err := server.New(server.Config{Dir: t.TempDir(), Rate: -1, ViewEvery: 5 * time.Millisecond})
	require.NoError(t, err)
	srv, err := models.Open("nonblock", runtime.Options{Listen: "127.0.0.1:0", Shards: 2})
	require.NoError(t, err)
	require.NoError(t, srv.Start(newApp))
	const population, each = 20, 1000
	l := must(bots.New(bots.Options{Population: population, Chat: 10, Save: 1, Ping: 5, Move: 50}))
	errs := make(chan error, population)
	var all sync.WaitGroup
	for i := range population {
		all.Go(func() { errs <- play(srv.Addr().String(), l.Client(i, 1), each) })
	}
	all.Wait()
	for range population {
		require.NoError(t, <-errs)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := server.Inspect(ctx, srv)
	require.NoError(t, err)
	m := r.Metrics
	require.EqualValues(t, population*each, m.Moves+m.Says+m.Tells+m.Pings+m.SavesAnswered-m.Logouts-saves(&r))
	require.NoError(t, srv.Stop(ctx))
}

// saves are the answered saves that no request asked for: those of connections that ended.
func saves(r *server.Report) uint64 { return uint64(20 - r.Accounts) }

// play sends requests as fast as the window allows.
func play(addr string, c script.Client, n int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write(c.Hello(nil)); err != nil {
		return err
	}
	open := map[uint32]bool{}
	in, size := make([]byte, 1<<20), 0
	var tags []uint32
	for sent, done := 0, 0; done < n; {
		var out []byte
		for c.Ready() && sent < n && len(open) < 64 {
			var tag uint32
			before := len(out)
			next, tag, _ := c.Request(out)
			if open[tag] {
				out = next[:before]
				break
			}
			open[tag], out = true, next
			sent++
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
		k, err := conn.Read(in[size:])
		if err != nil {
			return err
		}
		size += k
		used, got, err := c.Received(in[:size], tags[:0])
		if err != nil {
			return err
		}
		size = copy(in, in[used:size])
		for _, tag := range got {
			if !open[tag] {
				return &proto.MalformedError{What: "an answer that nobody waits for"}
			}
			delete(open, tag)
			done++
		}
	}
	return nil
}
