package server_test

import (
	"context"
	"io"
	"net"
	"os"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/game/store"
	"github.com/syslet/syslet/workloads/game/world"
)

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []server.Config{{}, {Dir: "x", Burst: -1}, {Dir: "x", MaxPerMap: 1 << 16}, {Dir: "x", RetryEvery: -1}, {Dir: "x", ViewEvery: -1}} {
		_, err := server.New(c)
		require.ErrorIs(t, err, server.ErrConfig, "%+v", c)
	}
	_, err := server.New(server.Config{Dir: t.TempDir(), Datapack: t.TempDir()})
	require.ErrorContains(t, err, "pack.txt")
	file := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err = server.New(server.Config{Dir: file})
	require.ErrorContains(t, err, file)
}

// A map that is full turns newcomers away, whether they log in or walk in.
func TestFullMap(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		dir := t.TempDir()
		g := start(t, model, shards, server.Config{Dir: dir, Datapack: smallWorld(t), MaxPerMap: 1})
		on := map[uint16]*client{}
		full := 0
		for _, name := range []string{"p1", "p2", "p3", "p4", "p5", "p6"} {
			c := dial(t, g)
			if e := c.ask(loginRequest(name, "t")); e.Type == proto.Welcome {
				require.Nil(t, on[e.Map])
				on[e.Map] = c
				continue
			}
			c.untilEnd()
			require.Equal(t, proto.CodeFull, c.kicked)
			full++
		}
		require.Len(t, on, 2)
		require.Equal(t, 4, full)
		// From map 0 to map 1 there is a portal on (4,1) and (1,2); both maps are alike.
		c := on[0]
		st := world.State{Pos: c.at}
		for tag := uint8(0); c.kicked == 0 && !c.ended; tag++ {
			d := world.Dir(tag * 5 / 3 % 4)
			if to, out := g.world.Step(st.Pos, d); out == world.Ported && to.Map > 1 {
				continue // that map has room
			}
			st.Walk(g.world, d)
			c.send(move(tag, uint8(d)))
			c.await(tag)
			if st.Map == 1 {
				c.untilEnd()
			}
		}
		require.Equal(t, proto.CodeFull, c.kicked)
		g.until("the player to be home", func(r server.Report) bool { return r.Players == 1 && r.Accounts == 1 })
	})
}

func TestDamagedFileIsRefusedAndKept(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(st.Path("ann"), []byte("not a player"), 0o644))
	g := start(t, "nonblock", 2, server.Config{Dir: dir})
	c := dial(t, g)
	require.Equal(t, proto.CodeCorrupt, c.ask(loginRequest("ann", "t")).Code)
	c.login("bob") // the connection goes on
	content, err := os.ReadFile(st.Path("ann"))
	require.NoError(t, err)
	require.Equal(t, "not a player", string(content))
	require.Contains(t, g.inspect().Metrics.LastError, st.Path("ann"))
}

// A save that fails is refused, tried again, and nothing is lost meanwhile.
func TestStorageFailureHeals(t *testing.T) {
	dir := t.TempDir()
	g := start(t, "nonblock", 2, server.Config{Dir: dir, Datapack: smallWorld(t), RetryEvery: time.Millisecond})
	st, err := store.Open(dir)
	require.NoError(t, err)
	c := dial(t, g)
	c.login("ann")
	require.Equal(t, proto.Saved, c.ask(save(1)).Type)
	temp := st.Path("ann")[:len(st.Path("ann"))-len(".player")] + ".tmp"
	require.NoError(t, os.Mkdir(temp, 0o755))
	c.ask(move(2, 1))
	at := c.at
	require.Equal(t, proto.Event{Type: proto.Refused, Tag: 3, Code: proto.CodeStorage}, c.ask(save(3)))
	e := c.ask(proto.Request{Type: proto.Logout, Tag: 4})
	require.Equal(t, proto.Event{Type: proto.Refused, Tag: 4, Code: proto.CodeStorage}, e)
	c.untilEnd()
	again := dial(t, g)
	again.login("ann") // from memory: the disk has an older state
	require.Equal(t, at, again.at)
	again.conn.Close()
	require.NoError(t, os.Remove(temp))
	g.until("the save to succeed", func(r server.Report) bool { return r.Accounts == 0 })
	last := dial(t, g)
	last.login("ann")
	require.Equal(t, at, last.at)
}

// openRaw starts a server with a rare tick and gives a connection that is logged in.
func openRaw(t testing.TB) net.Conn {
	newApp, err := server.New(server.Config{Dir: t.TempDir(), Rate: -1, SaveEvery: -1, ViewEvery: time.Hour})
	require.NoError(t, err)
	srv := open(t, "nonblock", runtime.Options{Listen: "127.0.0.1:0"})
	require.NoError(t, srv.Start(newApp))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Stop(ctx))
	})
	conn, err := net.Dial("tcp", srv.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	r := loginRequest("ann", "t")
	_, err = conn.Write(r.Append(nil))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 7))
	require.NoError(t, err)
	return conn
}

// burst is moves and pings that fit the window, and the size of their answers.
func burst() (out []byte, answers int) {
	for i := range uint8(50) {
		r := move(i, i*3%4)
		if out = r.Append(out); i%5 == 0 {
			r = ping(i)
			out = r.Append(out)
			answers += 2
		}
		answers += 7
	}
	return out, answers
}

// Moves and pings allocate nothing on their whole way through the server.
func TestServingAllocatesNothing(t *testing.T) {
	conn := openRaw(t)
	out, answers := burst()
	in := make([]byte, answers)
	serve := func(n int) {
		for range n {
			_, err := conn.Write(out)
			require.NoError(t, err)
			_, err = io.ReadFull(conn, in)
			require.NoError(t, err)
		}
	}
	serve(20)
	const bursts, per = 400, 60
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	serve(bursts)
	goruntime.ReadMemStats(&after)
	require.Less(t, float64(after.Mallocs-before.Mallocs)/(bursts*per), 0.02, "allocations per request")
}

func BenchmarkServing(b *testing.B) {
	conn := openRaw(b)
	out, answers := burst()
	in := make([]byte, answers)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/60, "ns/request")
}
