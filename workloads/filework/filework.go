// Package filework is a workload without connections: a fixed number of syslets
// in flight that read or write a file, each submitted again with a new random
// offset as soon as it is done. It is what fio does with a depth, so that the two
// can be laid side by side.
//
// Its server has no address (runtime.Options.Listen is empty); Job steers it and
// holds what it measured.
package filework

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
	"unsafe"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Pattern is what each syslet does.
type Pattern string

const (
	// RandRead is one pread.
	RandRead Pattern = "randread"
	// WriteSync is a pwrite, then an fsync; WriteDatasync the same with fdatasync.
	WriteSync     Pattern = "writesync"
	WriteDatasync Pattern = "writedatasync"
)

// Patterns lists them.
func Patterns() []Pattern { return []Pattern{RandRead, WriteSync, WriteDatasync} }

// Config says what to do. All offsets are multiples of BlockBytes.
type Config struct {
	File    string // must exist and have Bytes bytes at least
	Pattern Pattern
	// Depth is the number of syslets in flight on each shard, at least 1.
	Depth      int
	BlockBytes int
	// Bytes is the part of the file, from its start, that is worked on.
	Bytes int64
	// Direct opens the file with O_DIRECT: past the page cache.
	Direct bool
	Seed   uint64
}

// The errors of Config.
var errConfig = errors.New("filework: bad configuration")

func (c *Config) check() error {
	switch {
	case c.Pattern != RandRead && c.Pattern != WriteSync && c.Pattern != WriteDatasync:
		return fmt.Errorf("%w: no pattern %q; there are %v", errConfig, c.Pattern, Patterns())
	case c.Depth < 1 || c.Depth > maxDepth:
		return fmt.Errorf("%w: Depth is %d, want 1 to %d", errConfig, c.Depth, maxDepth)
	case c.BlockBytes < 1 || int64(c.BlockBytes) > c.Bytes:
		return fmt.Errorf("%w: BlockBytes is %d of a range of %d bytes", errConfig, c.BlockBytes, c.Bytes)
	case c.Direct && c.BlockBytes%sectorBytes != 0:
		return fmt.Errorf("%w: BlockBytes is %d, want a multiple of %d with Direct", errConfig, c.BlockBytes, sectorBytes)
	}
	return nil
}

const (
	maxDepth    = 4096
	sectorBytes = 512
	// burst is how many ops that need no wait are made in a row before the loop's
	// turn ends: reads that the page cache answers would never let it.
	burst = 16
	// longestNs is the longest latency that is told apart, to three figures.
	longestNs, figures = 60_000_000_000, 3
)

// app is the program of one shard.
type app struct {
	cfg    Config
	fd     int
	blocks uint64
	rng    *rand.PCG
	slots  []slot
	again  []*slot // are to be submitted in the next turn
	due    bool    // a message is on its way that says so

	stopped   bool
	recording bool
	since     time.Time     // when recording began
	recorded  time.Duration // how long it has lasted, before since
	latency   *hdrhistogram.Histogram
	ops       uint64
	errs      uint64
	firstErr  error
}

// slot is one of the syslets.
type slot struct {
	y       *runtime.Syslet
	beganAt time.Time
}

func newApp(cfg Config, shard int) (*app, error) {
	flags := unix.O_RDWR | unix.O_CLOEXEC
	if cfg.Pattern == RandRead {
		flags = unix.O_RDONLY | unix.O_CLOEXEC
	}
	if cfg.Direct {
		flags |= unix.O_DIRECT
	}
	fd, err := unix.Open(cfg.File, flags, 0)
	if err != nil {
		return nil, fmt.Errorf("filework: cannot open %q (O_DIRECT: %v): %w", cfg.File, cfg.Direct, err)
	}
	a := &app{
		cfg: cfg, fd: fd, blocks: uint64(cfg.Bytes) / uint64(cfg.BlockBytes),
		rng:     rand.NewPCG(cfg.Seed, uint64(shard)),
		slots:   make([]slot, cfg.Depth),
		again:   make([]*slot, 0, 2*cfg.Depth), // those of this turn and of the next
		latency: hdrhistogram.New(1, longestNs, figures),
	}
	// Each block is read where no other was: read-ahead would be for nothing.
	_ = unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM)
	memory := alignedBlocks(cfg.Depth, cfg.BlockBytes)
	for i := range a.slots {
		sl := &a.slots[i]
		sl.y = runtime.NewSyslet(a.program(memory[i])...)
		sl.y.Done = func(s *runtime.Shard, _ *runtime.Syslet) {
			a.ended(sl)
			a.run(s, sl)
		}
	}
	return a, nil
}

// program is the ops of a syslet; register 0 is the offset.
func (a *app) program(block []byte) []runtime.Op {
	fd := runtime.Imm(int64(a.fd))
	var direct runtime.Flags
	if a.cfg.Direct {
		direct = runtime.Direct
	}
	if a.cfg.Pattern == RandRead {
		return []runtime.Op{runtime.Pread(fd, block, runtime.Reg(0)).With(direct)}
	}
	sync := runtime.Fsync(fd)
	if a.cfg.Pattern == WriteDatasync {
		sync = runtime.Fdatasync(fd)
	}
	return []runtime.Op{runtime.Pwrite(fd, block, runtime.Reg(0)).With(direct | runtime.StopOnNegative), sync}
}

// Start begins all of them.
func (a *app) Start(s *runtime.Shard) {
	for i := range a.slots {
		a.run(s, &a.slots[i])
	}
}

// run submits sl until it has to wait, and lets the loop have a turn after a burst.
func (a *app) run(s *runtime.Shard, sl *slot) {
	for n := 0; ; n++ {
		switch {
		case a.stopped || a.firstErr != nil:
			return
		case n == burst:
			a.later(s, sl)
			return
		}
		sl.y.Regs[0] = int64(a.rng.Uint64()%a.blocks) * int64(a.cfg.BlockBytes)
		sl.beganAt = time.Now()
		switch s.Submit(sl.y) {
		case runtime.Queued:
			return
		case runtime.Busy:
			a.fail(fmt.Errorf("filework: a syslet was refused: raise Options.MaxInFlight above %d", a.cfg.Depth))
			return
		}
		a.ended(sl)
	}
}

// later has sl run in the next turn.
func (a *app) later(s *runtime.Shard, sl *slot) {
	a.again = append(a.again, sl)
	if !a.due {
		a.due = true
		s.Post(s.Index(), &runtime.Message{}) // one at a time: never Busy
	}
}

// Message is our own: the next turn.
func (a *app) Message(s *runtime.Shard, _ int, _ *runtime.Message) {
	a.due = false
	now := len(a.again)
	for i := range now {
		a.run(s, a.again[i])
	}
	a.again = a.again[:copy(a.again, a.again[now:])]
}

// ended books what sl did.
func (a *app) ended(sl *slot) {
	want := int64(a.cfg.BlockBytes)
	if a.cfg.Pattern != RandRead {
		want = 0 // the sync's
	}
	if res := sl.y.Result(); res != want {
		a.fail(failure(sl.y, res, want))
		return
	}
	if a.recording {
		a.ops++
		_ = a.latency.RecordValue(min(int64(time.Since(sl.beganAt)), longestNs)) // within its range
	}
}

func (a *app) record(on bool) {
	if a.recording {
		a.recorded += time.Since(a.since)
	}
	a.recording, a.since = on, time.Now()
}

func failure(y *runtime.Syslet, res, want int64) error {
	op, _ := y.Last()
	what := y.Ops[op].Code
	if res < 0 {
		return fmt.Errorf("filework: %s at offset %d: %w", what, y.Regs[0], unix.Errno(-res))
	}
	return fmt.Errorf("filework: %s at offset %d gave %d, want %d: is the file shorter than the range?", what, y.Regs[0], res, want)
}

func (a *app) fail(err error) {
	if a.errs++; a.firstErr == nil {
		a.firstErr = err
	}
}

// Stop closes the file: nothing is in flight any more, Job.Stop has seen to that.
func (a *app) Stop(*runtime.Shard) { _ = unix.Close(a.fd) }

func (a *app) Opened(*runtime.Conn)                          {}
func (a *app) Closed(*runtime.Conn, error)                   {}
func (a *app) Data(_ *runtime.Conn, p []byte) (consumed int) { return len(p) }

// alignedBlocks are n blocks of bytes each, every one aligned as O_DIRECT wants, in
// one piece of memory that is touched, so that no page fault is measured.
func alignedBlocks(n, bytes int) [][]byte {
	const page = 4096
	stride := (bytes + page - 1) &^ (page - 1)
	memory := make([]byte, n*stride+page)
	for i := range memory {
		memory[i] = byte(i>>9 ^ i)
	}
	start := int(-uintptr(unsafe.Pointer(&memory[0])) & (page - 1))
	blocks := make([][]byte, n)
	for i := range blocks {
		from := start + i*stride
		blocks[i] = memory[from : from+bytes : from+bytes]
	}
	return blocks
}
