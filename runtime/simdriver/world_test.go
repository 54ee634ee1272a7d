package simdriver_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
)

var (
	oneSeed = flag.Int64("sim.seed", -1, "run the simulations with this seed only, and print their logs")
	seeds   = flag.Int("sim.seeds", 1000, "number of seeds of each simulation")
)

// stepsMax bounds a simulation; none comes near it unless something hangs.
const stepsMax = 200_000

// everySeed runs fn with many seeds. A failure names its seed.
func everySeed(t *testing.T, o runtime.Options, f simdriver.Faults, fn func(t *testing.T, m *simdriver.Sim)) {
	t.Helper()
	first, n := uint64(1), *seeds
	if *oneSeed >= 0 {
		first, n = uint64(*oneSeed), 1
	}
	for seed := first; seed < first+uint64(n); seed++ {
		m, err := simdriver.New(seed, o, f)
		require.NoError(t, err)
		if *oneSeed >= 0 {
			m.KeepLog()
		}
		fn(t, m)
		if err := m.Err(); err != nil {
			t.Error(err)
		}
		if *oneSeed >= 0 {
			for _, line := range m.Log() {
				t.Log(line)
			}
		}
		if t.Failed() {
			t.Fatalf("repeat with: go test -run '^%s$' -sim.seed=%d", t.Name(), seed)
		}
	}
}

// witness is an App that checks what every App may rely on, and hands the rest
// to functions.
type witness struct {
	t       *testing.T
	m       *simdriver.Sim
	opened  func(c *runtime.Conn)
	data    func(c *runtime.Conn, p []byte) int
	closed  func(c *runtime.Conn, reason error)
	filter  func(c *runtime.Conn) bool
	message func(s *runtime.Shard, from int, m *runtime.Message)
	tick    func(s *runtime.Shard)
	stopped func(s *runtime.Shard)

	open    map[runtime.ConnID]*runtime.Conn // of all shards: there is one goroutine
	names   map[runtime.ConnID]bool          // every name ever seen
	order   []runtime.ConnID                 // in order of Opened
	reasons map[runtime.ConnID]error
	inside  string // the callback that runs now
	started int
	stops   int
	stats   runtime.Stats // of all shards, when their Stop was called
}

func newWitness(t *testing.T, m *simdriver.Sim) *witness {
	return &witness{t: t, m: m, open: map[runtime.ConnID]*runtime.Conn{}, names: map[runtime.ConnID]bool{},
		reasons: map[runtime.ConnID]error{}}
}

// serve starts the simulated server with w on each shard.
func (w *witness) serve() {
	require.NoError(w.t, w.m.Server().Start(func(*runtime.Shard) (runtime.App, error) { return w, nil }))
}

func (w *witness) stop() {
	require.NoError(w.t, w.m.Server().Stop(context.Background()), "seed %d", w.m.Seed())
	if len(w.open) > 0 {
		w.t.Errorf("after Stop %d connections never heard of their end", len(w.open))
	}
}

func (w *witness) enter(what string) func() {
	if w.inside != "" {
		w.t.Errorf("%s was called inside %s", what, w.inside)
	}
	w.inside = what
	return func() { w.inside = "" }
}

func (w *witness) Start(*runtime.Shard) { defer w.enter("Start")(); w.started++ }

func (w *witness) Stop(s *runtime.Shard) {
	defer w.enter("Stop")()
	w.stops++
	w.stats.Add(&s.Stats)
	if w.stopped != nil {
		w.stopped(s)
	}
}

func (w *witness) Accept(_ *runtime.Shard, c *runtime.Conn) bool {
	defer w.enter("Accept")()
	return w.filter == nil || w.filter(c)
}

func (w *witness) Opened(c *runtime.Conn) {
	defer w.enter("Opened")()
	id := c.ID()
	w.m.Note("opened %d", id)
	if w.names[id] {
		w.t.Errorf("the name %d was used before", id)
	}
	if c.Shard().Conn(id) != c || c.User != nil || c.Unsent() != 0 || c.Unread() != 0 {
		w.t.Errorf("connection %d is not as new: user %v, %d unsent, %d unread", id, c.User, c.Unsent(), c.Unread())
	}
	w.names[id], w.open[id] = true, c
	w.order = append(w.order, id)
	if w.opened != nil {
		w.opened(c)
	}
}

func (w *witness) Data(c *runtime.Conn, p []byte) int {
	defer w.enter("Data")()
	if w.open[c.ID()] != c {
		w.t.Errorf("Data of %d, which is not open", c.ID())
	}
	if len(p) == 0 {
		w.t.Errorf("Data of %d without any", c.ID())
	}
	if w.data == nil {
		return len(p)
	}
	return w.data(c, p)
}

func (w *witness) Closed(c *runtime.Conn, reason error) {
	defer w.enter("Closed")()
	id := c.ID()
	w.m.Note("closed %d: %v", id, reason)
	if w.open[id] != c {
		w.t.Errorf("Closed of %d, which is not open", id)
	}
	if reason == nil {
		w.t.Errorf("Closed of %d without a reason", id)
	}
	if c.Shard().Conn(id) != nil {
		w.t.Errorf("connection %d can be found after its end", id)
	}
	if err := c.Write([]byte("x")); !errors.Is(err, runtime.ErrConnClosed) {
		w.t.Errorf("write to %d after its end: %v", id, err)
	}
	delete(w.open, id)
	w.reasons[id] = reason
	if w.closed != nil {
		w.closed(c, reason)
	}
}

func (w *witness) Message(s *runtime.Shard, from int, m *runtime.Message) {
	defer w.enter("Message")()
	if w.message != nil {
		w.message(s, from, m)
	}
}

func (w *witness) Tick(s *runtime.Shard) {
	defer w.enter("Tick")()
	if w.tick != nil {
		w.tick(s)
	}
}

// some gives an open connection of the shard, or nil.
func (w *witness) some(s *runtime.Shard) *runtime.Conn {
	for range 8 {
		if len(w.order) == 0 {
			return nil
		}
		id := w.order[w.m.Rand.IntN(len(w.order))]
		if c := s.Conn(id); c != nil {
			if w.open[id] != c {
				w.t.Errorf("Conn(%d) gives a connection that is not open", id)
			}
			return c
		}
		if id.Shard() == s.Index() && w.open[id] != nil && !w.isEnding(id) {
			w.t.Errorf("Conn(%d) does not find an open connection", id)
		}
	}
	return nil
}

// isEnding: its end was decided in this turn and Closed is still to come.
func (w *witness) isEnding(id runtime.ConnID) bool {
	return errors.Is(w.open[id].Write(nil), runtime.ErrConnClosed)
}

// Frames: a byte that counts what follows it.
func frame(m *simdriver.Sim) []byte {
	f := make([]byte, 1+m.Rand.IntN(40))
	f[0] = byte(len(f) - 1)
	for i := range f[1:] {
		f[1+i] = byte(m.Rand.Uint32())
	}
	return f
}

// frames is the length of the whole frames at the front of p, at most max of them.
func frames(p []byte, max int) (n int) {
	for ; max > 0 && n < len(p) && n+1+int(p[n]) <= len(p); max-- {
		n += 1 + int(p[n])
	}
	return n
}

func settle(m *simdriver.Sim, done func() bool) error { return m.Run(done, stepsMax) }

func statsOf(t *testing.T, m *simdriver.Sim) runtime.Stats {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st, err := m.Server().Stats(ctx)
	require.NoError(t, err, "seed %d", m.Seed())
	return st
}

func label(m *simdriver.Sim, format string, a ...any) string {
	return fmt.Sprintf("seed %d: "+format, append([]any{m.Seed()}, a...)...)
}
