package differential

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/syslet/syslet/runtime"
)

// harness runs batches on one server.
type harness struct {
	config  Config
	factory runtime.DriverFactory
	root    string
	server  *runtime.Server
	tally   Tally
	free    []string // directories that worlds can have
	apart   bool     // each program of a batch is submitted in a callback of its own
	stray   int      // completions that came after the run they belong to; on the shard
}

func (h *harness) start() error {
	v, err := runtime.New(h.config.Options, h.factory)
	if err == nil {
		err = v.Start(func(*runtime.Shard) (runtime.App, error) { return idle{}, nil })
	}
	h.server = v
	return err
}

func (h *harness) stop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), h.config.Patience)
	defer cancel()
	if err := h.server.Stop(ctx); err != nil {
		t.Errorf("the server did not stop: %v", err)
	}
}

// idle is a server program that nobody connects to.
type idle struct{}

func (idle) Opened(*runtime.Conn)               {}
func (idle) Data(_ *runtime.Conn, p []byte) int { return len(p) }
func (idle) Closed(*runtime.Conn, error)        {}

// errHung: a program did not end. Its world is in use as long as it has not.
var errHung = errors.New("hung")

// errProgram: the generator drew what it must not.
var errProgram = errors.New("the program is not defined")

// expected is what the reference says of a program.
type expected struct {
	text   string
	silent bool
}

// compare runs a batch on both sides. Programs that the reference does not
// like are left out. The error says what differs.
func (h *harness) compare(batch []*Program) error {
	kept, want, err := h.refer(batch)
	if err != nil || len(kept) == 0 {
		return err
	}
	got, err := h.drive(kept, want)
	if err != nil {
		return err
	}
	h.tally.Batches++
	var b strings.Builder
	for i, p := range kept {
		h.tally.Programs++
		if d := difference(want[i].text, got[i]); d != "" {
			fmt.Fprintf(&b, "  program %d of %d:\n%s  differs:\n%s", i+1, len(kept), p, d)
		}
	}
	if b.Len() > 0 {
		return errors.New(b.String())
	}
	return nil
}

func (h *harness) world(p *Program) (*world, error) {
	n := len(h.free)
	if n == 0 {
		return newWorld(h.root, fmt.Sprintf("w%d", worldCount.Add(1)), p)
	}
	name := h.free[n-1]
	h.free = h.free[:n-1]
	return newWorld(h.root, name, p)
}

func (h *harness) remove(w *world) {
	w.remove()
	h.free = append(h.free, w.name)
}

// refer runs the batch on the reference, one after another.
func (h *harness) refer(batch []*Program) (kept []*Program, want []expected, err error) {
	var worlds []*world
	defer func() {
		for _, w := range worlds {
			h.remove(w)
		}
	}()
	var ends []*machine
	for _, p := range batch {
		w, err := h.world(p)
		if err != nil {
			return nil, nil, err
		}
		worlds = append(worlds, w)
		m := &machine{p: p, w: w, regs: w.regs(p)}
		ok, err := h.runs(m)
		if err != nil {
			return nil, nil, err
		}
		w.settle()
		if h.tally.Ops += uint64(m.steps); ok {
			kept, ends = append(kept, p), append(ends, m)
			want = append(want, expected{silent: m.silent})
		} else {
			h.tally.Dropped++
		}
	}
	open, err := sweep(h.root, worlds)
	if err != nil {
		return nil, nil, err
	}
	for i, k := 0, 0; i < len(worlds); i++ {
		if k < len(kept) && ends[k].w == worlds[i] {
			want[k].text = worlds[i].report(kept[k], ends[k].ending, open[i])
			k++
		}
	}
	return kept, want, nil
}

// runs runs a program on the reference. It says ok if it kept within its bounds.
func (h *harness) runs(m *machine) (ok bool, err error) {
	m.w.begin()
	done := make(chan bool, 1)
	go func() {
		ok := m.run()
		if ok && m.p.Again {
			forget(&m.regs)
			ok = m.run()
		}
		done <- ok
	}()
	timer := time.NewTimer(h.config.Patience)
	defer timer.Stop()
	select {
	case ok := <-done:
		return ok, nil
	case <-timer.C:
		return false, fmt.Errorf("%w: it waits for ever:\n%s", errProgram, m.p)
	}
}

// forget sets the registers for the second run of a program: what they held of
// descriptors may be closed.
func forget(regs *[runtime.RegCount]int64) {
	for i := range fdRegs {
		regs[i] = badFD
	}
}

// on runs fn on the shard and waits for it.
func (h *harness) on(deadline time.Time, fn func(s *runtime.Shard)) error {
	done := make(chan struct{})
	h.server.Shards()[0].Do(func(s *runtime.Shard) { fn(s); close(done) })
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return fmt.Errorf("the shard does not answer: %w", errHung)
	}
}

// hung names the programs that have not ended and takes a new server for what
// comes next: the old one may be stuck, and is left to itself.
func (h *harness) hung(flights []*flight, why error) error {
	var b strings.Builder
	for _, f := range flights {
		select {
		case <-f.done:
		default:
			fmt.Fprintf(&b, "%s", f.p)
		}
	}
	old := h.server
	go func() {
		old.Shards()[0].Do(func(s *runtime.Shard) {
			for _, f := range flights {
				s.Cancel(f.y)
			}
		})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = old.Stop(ctx)
	}()
	if err := h.start(); err != nil {
		return fmt.Errorf("%w; and no other server starts: %v", why, err)
	}
	return fmt.Errorf("%w after %v:\n%s", why, h.config.Patience, b.String())
}
