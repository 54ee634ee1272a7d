// Package simdriver is a driver with no kernel under it: connections, files and
// the clock are simulated, on one goroutine, and every decision comes from one
// seed. It splits and delays input, takes output in parts, breaks connections,
// fails attaches and operations, completes syslets late and out of order, keeps
// buffers after a connection is gone, and takes the shard away from the thread
// in the middle of a batch, as a takeover does. What an App sees must be right
// all the same; when it is not, the seed repeats it.
//
//	Sim.Step ── picks a shard ── Shard.Loop ── Driver.Turn ── events of links and ops
//	   │                              └─ Turn says false: the shard is "lost", Step ends
//	   └─ nobody has anything to do: the clock jumps to the next deadline
//
// A Sim also watches the runtime: that it flushes only what is attached, does
// not move bytes that "the kernel" holds, does not use a Conn again too early.
// What it finds is in Sim.Err.
package simdriver

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/syslet/syslet/runtime"
)

// Sim is a simulated system and a server in it. It is for one goroutine.
type Sim struct {
	// Ops gives the result of an op of a syslet that is neither nop, add, sleep
	// nor call: not negative, or a negated errno. nil: the result is 0.
	Ops func(r *rand.Rand, y *runtime.Syslet, op *runtime.Op) int64
	// Rand is the source of every decision; Apps and tests may draw from it too.
	Rand *rand.Rand
	// Counts says how often each fault was injected.
	Counts Counts

	// StepsMax bounds the steps of a simulation: a server that waits for ever, as
	// in Stop, would otherwise step for ever. Beyond it Step panics. Default 1e6.
	StepsMax int

	server  *runtime.Server
	steps   int
	faults  Faults
	seed    uint64
	drivers []*Driver
	ready   []*Driver // scratch of Step
	nowNs   int64
	untilNs int64 // where RunFor ends; the clock does not jump past it; 0: none
	nextFd  int
	peers   int
	log     hash.Hash64 // of all events
	line    []byte
	lines   []string
	keep    bool
	broken  []error
}

// New makes a simulation of a server with options o. o.Listen is not used.
func New(seed uint64, o runtime.Options, f Faults) (*Sim, error) {
	m := &Sim{seed: seed, faults: f, Rand: rand.New(rand.NewPCG(seed, 0x5e55)), nowNs: 1, nextFd: firstFd, log: fnv.New64a(),
		StepsMax: 1e6}
	var err error
	if m.server, err = runtime.NewHosted(o, m.open, m); err != nil {
		return nil, err
	}
	return m, nil
}

// firstFd begins the numbers of simulated descriptors, far above any that the
// process can have (the kernel's limit, fs.nr_open, is lower): a system call
// with one of them, such as the runtime's reset, is EBADF and does nothing.
const firstFd = 1 << 30

// Server is the server in the simulation. Its methods may be called between
// steps; those that wait for a shard step the simulation meanwhile.
func (m *Sim) Server() *runtime.Server { return m.server }

// Seed is what New was given.
func (m *Sim) Seed() uint64 { return m.seed }

// NowNs is the simulated clock. It implements runtime.Host.
func (m *Sim) NowNs() int64 { return m.nowNs }

// stepNsMax is how far the clock moves in one step with work.
const stepNsMax = 20_000

// Step lets one shard run for one batch, or a part of it. It implements
// runtime.Host.
func (m *Sim) Step() {
	if m.steps++; m.steps > m.StepsMax {
		panic(fmt.Sprintf("simdriver: seed %d: no end after %d steps (Sim.StepsMax)", m.seed, m.StepsMax))
	}
	m.nowNs += m.Rand.Int64N(stepNsMax)
	ready := m.ready[:0]
	for _, d := range m.drivers {
		if d.runnable() {
			ready = append(ready, d)
		}
	}
	m.ready = ready
	if len(ready) == 0 {
		m.jump()
		return
	}
	d := ready[m.Rand.IntN(len(ready))]
	d.turned = false
	d.shard.Loop()
}

// jump moves the clock to the first time at which something is due.
func (m *Sim) jump() {
	at := m.nowNs + int64(time.Millisecond)
	first := true
	for _, d := range m.drivers {
		if due, ok := d.nextDue(); ok && (first || due < at) {
			at, first = due, false
		}
	}
	if m.untilNs > 0 {
		at = min(at, m.untilNs)
	}
	m.nowNs = max(m.nowNs, at)
}

// Idle reports whether no shard has anything to do at this time.
func (m *Sim) Idle() bool { return !slices.ContainsFunc(m.drivers, (*Driver).runnable) }

// Run steps until done says true, or fails after max steps.
func (m *Sim) Run(done func() bool, max int) error {
	for range max {
		if done() {
			return m.Err()
		}
		m.Step()
	}
	if done() {
		return m.Err()
	}
	return errors.Join(m.Err(), fmt.Errorf("simdriver: seed %d: not done after %d steps, at %v", m.seed, max, time.Duration(m.nowNs)))
}

// RunFor steps for d of simulated time.
func (m *Sim) RunFor(d time.Duration) error {
	m.untilNs = m.nowNs + int64(d)
	for m.nowNs < m.untilNs {
		m.Step()
	}
	m.untilNs = 0
	return m.Err()
}

// Dial opens a connection to a random shard, from a random address of eight.
func (m *Sim) Dial() *Peer { return m.DialShard(m.Rand.IntN(len(m.drivers))) }

// DialShard opens a connection to a shard. It is accepted at some later step.
func (m *Sim) DialShard(shard int) *Peer {
	p := &Peer{sim: m, index: m.peers, host: byte(1 + m.Rand.IntN(8))}
	m.peers++
	d := m.drivers[shard]
	if d.closed {
		p.cut = true
		return p
	}
	d.arriving = append(d.arriving, p)
	return p
}

// Note adds a line to the log of events, of which Hash is the fingerprint.
func (m *Sim) Note(format string, a ...any) {
	m.line = fmt.Appendf(m.line[:0], "%d ", m.nowNs)
	m.line = fmt.Appendf(m.line, format, a...)
	_, _ = m.log.Write(m.line) // a hash does not fail
	if m.keep {
		m.lines = append(m.lines, string(m.line))
	}
}

// Hash is the fingerprint of everything that has happened so far.
func (m *Sim) Hash() uint64 { return m.log.Sum64() }

// KeepLog makes Log give the lines from now on; without it only their hash is kept.
func (m *Sim) KeepLog() { m.keep = true }

// Log is the lines since KeepLog, each after its time in ns.
func (m *Sim) Log() []string { return m.lines }

// Err is what the runtime did wrong against its drivers' contract, with the seed.
func (m *Sim) Err() error { return errors.Join(m.broken...) }

// broke notes a breach of contract.
func (m *Sim) broke(format string, a ...any) {
	const enough = 10
	if len(m.broken) < enough {
		m.broken = append(m.broken, fmt.Errorf("simdriver: seed %d: "+format, append([]any{m.seed}, a...)...))
	}
	m.Note("BREACH "+format, a...)
}

// chance is true with probability p.
func (m *Sim) chance(p float64) bool { return p > 0 && m.Rand.Float64() < p }
