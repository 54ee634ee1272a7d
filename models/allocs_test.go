//go:build !race

// Under the race detector sync.Pool drops what it is given at random.

package models_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/echo"
	"github.com/syslet/syslet/workloads/fanout"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
)

// The workloads in steady state, over real sockets, under every model: no message
// costs an allocation. What is counted is the whole process, clients included.

const (
	allocsPatience = 60 * time.Second
	allocsMessages = 10_000
	// allocsNoise is what Go itself may allocate meanwhile: by time, not by message.
	// The least of a few tries counts.
	allocsNoise = allocsMessages / 200
	allocsTries = 20
)

// requireNoAllocs runs a piece of work of at least allocsMessages messages.
func requireNoAllocs(t *testing.T, what string, work func()) {
	t.Helper()
	work() // pools fill
	least := uint64(1 << 63)
	for try := 0; try < allocsTries && least >= allocsNoise; try++ {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		work()
		goruntime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	require.Less(t, least, uint64(allocsNoise), "allocations in %d messages: %s", allocsMessages, what)
}

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

type newApp = func(s *runtime.Shard) (runtime.App, error)

// serveTo starts a server and connects n clients, all of which it has seen.
func serveTo(t *testing.T, model string, o runtime.Options, app newApp, n int) []net.Conn {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	o.BlockThreshold = -1 // the block profile's watcher allocates when the machine holds a loop up
	srv, err := models.Open(model, o)
	require.NoError(t, err)
	require.NoError(t, srv.Start(app))
	ctx, cancel := context.WithTimeout(context.Background(), allocsPatience)
	t.Cleanup(func() {
		require.NoError(t, srv.Stop(ctx))
		cancel()
	})
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i], err = net.Dial("tcp", srv.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conns[i].SetDeadline(time.Now().Add(allocsPatience)))
		t.Cleanup(func() { conns[i].Close() })
	}
	for {
		st, err := srv.Stats(ctx)
		require.NoError(t, err)
		if st.Conns == uint64(n) {
			return conns
		}
		time.Sleep(time.Millisecond)
	}
}

func mustWrite(t *testing.T, c net.Conn, p []byte) {
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, c net.Conn, p []byte) {
	if _, err := io.ReadFull(c, p); err != nil {
		t.Fatal(err)
	}
}

func TestEchoAllocs(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		for _, n := range []int{1, 64} {
			for _, size := range []int{16, 1024} {
				conns := serveTo(t, model, runtime.Options{}, echo.Config{}.NewApp, n)
				p := make([]byte, size)
				requireNoAllocs(t, fmt.Sprintf("%d connections, %d bytes", n, size), func() {
					for range allocsMessages / n {
						for _, c := range conns {
							mustWrite(t, c, p)
						}
						for _, c := range conns {
							mustRead(t, c, p)
						}
					}
				})
			}
		}
	})
}

// TestFanoutAllocs: several senders at once, so that queues hold several blocks.
func TestFanoutAllocs(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		for _, shards := range []int{1, 3} {
			for _, size := range []int{64, 5000} {
				const n, senders = 50, 4
				conns := serveTo(t, model, runtime.Options{Shards: shards}, fanout.NewApp, n)
				m, heard := make([]byte, size), make([]byte, senders*size)
				binary.LittleEndian.PutUint32(m, uint32(size))
				requireNoAllocs(t, fmt.Sprintf("%d shards, %d bytes", shards, size), func() {
					for range 2 * allocsMessages / n / senders {
						for _, c := range conns[:senders] {
							mustWrite(t, c, m)
						}
						for _, c := range conns {
							mustRead(t, c, heard)
						}
					}
				})
			}
		}
	})
}

// player is one client of the game.
type player struct {
	net.Conn
	in    []byte
	buf   []byte
	event proto.Event
	views int
}

func (p *player) ask(t *testing.T, r *proto.Request) { mustWrite(t, p, r.Append(p.buf[:0])) }

// hear reads until an answer of that type has come.
func (p *player) hear(t *testing.T, want proto.Type) {
	for {
		n, err := p.event.Parse(p.in)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			k, err := p.Read(p.in[len(p.in):cap(p.in)])
			if err != nil {
				t.Fatal(err)
			}
			p.in = p.in[:len(p.in)+k]
			continue
		}
		got := p.event.Type
		p.in = p.in[:copy(p.in, p.in[n:])]
		switch got {
		case want:
			return
		case proto.View:
			p.views++
		default:
			t.Fatalf("heard %+v, want %#x", p.event, want)
		}
	}
}

// TestGameAllocs: moves and pings of players who stand together, and the ticks that
// show them to each other meanwhile.
func TestGameAllocs(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		for _, shards := range []int{1, 3} {
			app, err := server.New(server.Config{Dir: t.TempDir(), ViewEvery: 2 * time.Millisecond, SaveEvery: -1, Rate: -1})
			require.NoError(t, err)
			const n = 50
			conns := serveTo(t, model, runtime.Options{Shards: shards}, app, n)
			players := make([]player, n)
			for i := range players {
				players[i] = player{Conn: conns[i], in: make([]byte, 0, 1<<20), buf: make([]byte, 0, 256)}
				players[i].ask(t, &proto.Request{Type: proto.Login, Name: fmt.Appendf(nil, "p%d", i), Data: []byte("t")})
				players[i].hear(t, proto.Welcome)
			}
			ask := func(r proto.Request, answer proto.Type) func() {
				return func() {
					for range allocsMessages / n {
						for i := range players {
							players[i].ask(t, &r)
						}
						for i := range players {
							players[i].hear(t, answer)
						}
						r.Dir = (r.Dir + 1) % proto.Directions
					}
				}
			}
			requireNoAllocs(t, fmt.Sprintf("pings, %d shards", shards), ask(proto.Request{Type: proto.Ping}, proto.Pong))
			players[0].views = 0
			requireNoAllocs(t, fmt.Sprintf("moves, %d shards", shards), ask(proto.Request{Type: proto.Move}, proto.Moved))
			require.Greater(t, players[0].views, 50, "ticks did not show anything")
		}
	})
}
