package server_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/game/store"
)

const (
	crashDir   = "GAME_TEST_CRASH_DIR"
	crashModel = "GAME_TEST_CRASH_MODEL"
)

// TestMain runs the tests, or, as a child of TestKillKeepsAcknowledgedSaves, a server
// that is going to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		serveUntilKilled(dir, os.Getenv(crashModel))
		return
	}
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // Go's own poller is open from now on
	}
	before := openFiles()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if after := openFiles(); code == 0 && after > before {
			fmt.Fprintf(os.Stderr, "%d files are open, %d were at the beginning\n", after, before)
			code = 1
		}
		os.Exit(code)
	}))
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

func serveUntilKilled(dir, model string) {
	newApp, err := server.New(server.Config{Dir: dir, Rate: -1, SaveEvery: 20 * time.Millisecond, ViewEvery: 5 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	srv, err := models.Open(model, runtime.Options{Listen: "127.0.0.1:0", Shards: 2})
	if err != nil {
		panic(err)
	}
	if err := srv.Start(newApp); err != nil {
		panic(err)
	}
	fmt.Println(srv.Addr())
	// Gone when the parent is, too, whatever happens to it.
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

// saver is a player who walks and saves without end.
type saver struct {
	name  string
	base  uint64 // moves that were on disk at login
	acked uint64 // moves that an answered SAVE covers
}

// run works until the connection breaks.
func (p *saver) run(addr string, acks *atomic.Int64) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := loginRequest(p.name, "t")
	// Tag i stands for the i-th batch (modulo 32): seven moves and a SAVE with that tag.
	const batches = 32
	var out []byte
	batch := func(tag uint8) {
		for i := range uint8(7) {
			q := move(100+i, (tag+i)%4)
			out = q.Append(out)
		}
		q := save(tag)
		out = q.Append(out)
	}
	out = r.Append(out)
	for i := range uint8(4) {
		batch(i)
	}
	if _, err := conn.Write(out); err != nil {
		return nil // killed before it could read
	}
	in, done := make([]byte, 0, 1<<16), uint64(0)
	for {
		n, err := conn.Read(in[len(in):cap(in)])
		if err != nil {
			return nil
		}
		in = in[:len(in)+n]
		used := 0
		out = out[:0]
		for {
			var e proto.Event
			k, err := e.Parse(in[used:])
			if err != nil || e.Type == proto.Kicked || e.Type == proto.Refused {
				return fmt.Errorf("%s: %v, %v %v", p.name, err, e.Type, e.Code)
			}
			if k == 0 {
				break
			}
			used += k
			if e.Type == proto.Saved {
				if uint64(e.Tag) != done%batches {
					return fmt.Errorf("%s: SAVED %d out of order", p.name, e.Tag)
				}
				done++
				p.acked = p.base + 7*done
				acks.Add(1)
				batch(uint8((done + 3) % batches))
			}
		}
		in = in[:copy(in[:cap(in)], in[used:])]
		if _, err := conn.Write(out); err != nil {
			return nil
		}
	}
}

// kill -9 while players save: afterwards every file is readable, and every save that was
// acknowledged is there.
func TestKillKeepsAcknowledgedSaves(t *testing.T) {
	for _, model := range models.Names() {
		t.Run(model, func(t *testing.T) {
			if err := models.Refused(model); err != nil {
				t.Skip(err)
			}
			dir := t.TempDir()
			players := make([]*saver, 16)
			for i := range players {
				players[i] = &saver{name: fmt.Sprintf("saver%d", i)}
			}
			seed := uint64(time.Now().UnixNano())
			random := rand.New(rand.NewPCG(seed, 0))
			for range 3 {
				crashRound(t, dir, model, players, int64(random.IntN(300)))
				checkCrashed(t, dir, players, seed)
			}
		})
	}
}

// crashRound runs a server until some saves are acknowledged, and kills it.
func crashRound(t *testing.T, dir, model string, players []*saver, after int64) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashModel+"="+model)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)

	var acks atomic.Int64
	var all sync.WaitGroup
	errs := make(chan error, len(players))
	for _, p := range players {
		all.Go(func() { errs <- p.run(strings.TrimSpace(addr), &acks) })
	}
	for deadline := time.Now().Add(patience); acks.Load() < after && time.Now().Before(deadline) && len(errs) == 0; {
		time.Sleep(100 * time.Microsecond)
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // "signal: killed"
	all.Wait()
	for range players {
		require.NoError(t, <-errs)
	}
	require.GreaterOrEqual(t, acks.Load(), after, "too few saves were answered")
}

func checkCrashed(t *testing.T, dir string, players []*saver, seed uint64) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.player"))
	require.NoError(t, err)
	byName := map[string]*store.Record{}
	for _, f := range files {
		content, err := os.ReadFile(f)
		require.NoError(t, err)
		r := &store.Record{}
		require.NoError(t, r.Decode(content), "%s, seed %d", f, seed)
		byName[r.Name] = r
	}
	for _, p := range players {
		r := byName[p.name]
		if r == nil {
			require.Zero(t, p.acked, "%s: acknowledged, but there is no file, seed %d", p.name, seed)
			continue
		}
		require.GreaterOrEqual(t, r.Moves, p.acked, "%s, seed %d", p.name, seed)
		p.base, p.acked = r.Moves, r.Moves
	}
}
