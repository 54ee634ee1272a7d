package differential

import (
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// A driver that runs every syslet in the loop, with plain calls: what the
// comparison itself is tested with.
type plain struct {
	runtime.Driver // what it does not have is not called
	shard          *runtime.Shard
	wake           chan struct{}
	fault          fault
	late           []*runtime.Syslet // Queued, to be finished in the next turn
}

// fault is what a driver does wrong; the zero value is nothing.
type fault struct {
	name   string
	exec   func(y *runtime.Syslet, op *runtime.Op) int64 // instead of Exec
	flags  runtime.Flags                                 // ignored
	finish func(d *plain, y *runtime.Syslet)             // instead of Finish, of what was Queued
	end    func(y *runtime.Syslet)                       // after the program
	tells  bool                                          // calls Done of what was Completed
}

func (d *plain) Run() error               { d.shard.Loop(); return nil }
func (d *plain) Listen(int) error         { return nil }
func (d *plain) StopListening()           {}
func (d *plain) Cancel(*runtime.Syslet)   {}
func (d *plain) ReadStats(*runtime.Stats) {}
func (d *plain) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *plain) Turn(timeoutNs int64) bool {
	for _, y := range d.late {
		d.finish(y)
	}
	if d.late = nil; timeoutNs != 0 && d.shard.MayWait() {
		<-d.wake
		d.shard.Woke()
	}
	return true
}

func (d *plain) finish(y *runtime.Syslet) {
	if d.fault.finish != nil {
		d.fault.finish(d, y)
		return
	}
	d.shard.Finish(y)
}

// Submit runs y. Async at its first op makes it Queued.
func (d *plain) Submit(y *runtime.Syslet) runtime.Outcome {
	if y.Op() == nil {
		return runtime.Completed
	}
	queued := y.Ops[0].Flags&runtime.Async != 0
	for op := y.Op(); op != nil; op = y.Op() {
		res := int64(0)
		if d.fault.exec != nil {
			res = d.fault.exec(y, op)
		} else {
			res = y.Exec()
		}
		op.Flags &^= d.fault.flags
		y.Apply(res)
	}
	if d.fault.end != nil {
		d.fault.end(y)
	}
	if queued {
		d.late = append(d.late, y)
		d.Wake()
		return runtime.Queued
	}
	if d.fault.tells {
		y.Done(d.shard, y)
	}
	return runtime.Completed
}

func plainFactory(f fault) runtime.DriverFactory {
	return func(s *runtime.Shard) (runtime.Driver, error) {
		return &plain{shard: s, wake: make(chan struct{}, 1), fault: f}, nil
	}
}

// recorder is a test whose failure is looked at.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	goruntime.Goexit()
}
func (r *recorder) Errorf(string, ...any) {} // the server does not stop, with a fault

// verdict runs programs on a driver with that fault and gives what Run said.
func verdict(t *testing.T, f fault, c Config) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(r, plainFactory(f), c)
	}()
	<-done
	return r.message
}

func TestAgrees(t *testing.T) {
	require.Empty(t, verdict(t, fault{}, Config{Programs: 150}))
}

// withErr is an op's result with another errno.
func withErr(y *runtime.Syslet, _ *runtime.Op) int64 {
	if res := y.Exec(); res >= 0 {
		return res
	}
	return -int64(unix.EIO)
}

var faults = []fault{
	{name: "errno", exec: withErr},
	{name: "open-twice", exec: func(y *runtime.Syslet, op *runtime.Op) int64 {
		if op.Code == runtime.OpOpenat {
			y.Exec()
		}
		return y.Exec()
	}},
	{name: "short-count", exec: func(y *runtime.Syslet, op *runtime.Op) int64 {
		res := y.Exec()
		if op.Code == runtime.OpPread && res > 1 {
			res--
		}
		return res
	}},
	{name: "write-nothing", exec: func(y *runtime.Syslet, op *runtime.Op) int64 {
		if op.Code == runtime.OpPwrite {
			return int64(len(y.Data(op)))
		}
		return y.Exec()
	}},
	{name: "close-nothing", exec: func(y *runtime.Syslet, op *runtime.Op) int64 {
		if op.Code == runtime.OpClose && y.Value(op.Args[0]) >= 0 && y.Value(op.Args[0]) < hugeFD {
			return 0
		}
		return y.Exec()
	}},
	{name: "no-skip", flags: runtime.SkipToNextOnStop},
	{name: "no-stop-on-zero", flags: runtime.StopOnZero},
	{name: "register", end: func(y *runtime.Syslet) { y.Regs[regSmall1]++ }},
	{name: "twice", finish: func(d *plain, y *runtime.Syslet) {
		d.shard.Finish(y)
		y.Done(d.shard, y)
	}},
	{name: "tells", tells: true},
	{name: "no-complete", flags: runtime.NoComplete},
	{name: "never", finish: func(*plain, *runtime.Syslet) {}},
}

// TestCatches: what a driver does wrong is found, shrunk, and told with its seed.
func TestCatches(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for the disk
			c := Config{Programs: 1000, Seed: 1, Dir: t.TempDir(), ShrinkFor: 2 * time.Second}
			if f.name == "never" {
				c.Patience = 200 * time.Millisecond
			}
			message := verdict(t, f, c)
			require.Contains(t, message, "-diff.seed=")
			_, program, found := strings.Cut(message, "shrunk from ")
			require.True(t, found, message)
			require.LessOrEqual(t, strings.Count(program, "),\n"), 5, message)
		})
	}
}

// TestReferenceRepeats: all that is compared follows from the program alone.
// Otherwise a driver would be blamed for what is chance.
func TestReferenceRepeats(t *testing.T) {
	h := &harness{config: Config{}.withDefaults(t), root: t.TempDir()}
	for seed := range uint64(40) {
		batch := draw(seed)
		_, first, err := h.refer(batch)
		require.NoError(t, err)
		_, second, err := h.refer(batch)
		require.NoError(t, err)
		require.Equal(t, first, second, "seed %d", seed)
	}
}

func TestDrawRepeats(t *testing.T) {
	for seed := range uint64(300) {
		first, second := draw(seed), draw(seed)
		require.Equal(t, first, second)
		for _, p := range first {
			require.True(t, p.defined())
			require.NotEmpty(t, p.String())
		}
	}
}

// TestUnsafe: programs that use a closed descriptor's number are refused, also
// if they do so only on a path that no result leads to.
func TestUnsafe(t *testing.T) {
	open, closed := blank(runtime.OpOpenat), blank(runtime.OpClose)
	open.Dst, closed.FD = 0, reg(0)
	fsync, forget := blank(runtime.OpFsync), blank(runtime.OpNop)
	fsync.FD, forget.A, forget.Dst = reg(0), imm(badFD), 0
	never := blank(runtime.OpNop)
	never.Flags, never.Next = runtime.StopOnNonzero|runtime.SkipToNextOnStop, 3 // always to the close
	back := fsync
	back.Next = 1
	var regs [runtime.RegCount]Val
	regs[0], regs[1], regs[2] = imm(badFD), imm(badFD), imm(badFD)
	for name, c := range map[string]struct {
		ops  []Op
		safe bool
	}{
		"closed at the end":   {[]Op{open, fsync, closed}, true},
		"used after":          {[]Op{open, closed, fsync}, false},
		"closed twice":        {[]Op{open, closed, closed}, false},
		"forgotten":           {[]Op{open, closed, forget, closed}, true},
		"opened again":        {[]Op{open, closed, open, fsync}, true},
		"on one path":         {[]Op{open, never, closed, fsync}, false},
		"in a loop":           {[]Op{open, closed, back}, false},
		"a number of a close": {[]Op{{Code: runtime.OpClose, FD: imm(badFD), Dst: 0, Next: follow}, fsync}, false},
	} {
		require.Equal(t, c.safe, (&Program{Ops: c.ops, Regs: regs}).safe(), name)
	}
}

func TestWithout(t *testing.T) {
	var ops []Op
	for i := range 6 {
		op := blank(runtime.OpNop)
		op.A, op.Next = imm(int64(i)), []int{5, 2, follow, 3, end, 0}[i]
		ops = append(ops, op)
	}
	var next []int
	for _, op := range (&Program{Ops: ops}).without(2, 2).Ops {
		next = append(next, op.Next)
	}
	require.Equal(t, []int{3, 2, end, 0}, next)
}
