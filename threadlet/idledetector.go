//go:build amd64 || arm64

package threadlet

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// idleDetector has a watcher on the head's processor that gets to run when nobody else wants it; see watcher.go.
//
// Where others do want it the watcher starves, and the backstop finds the block: a standby that looks at the head's state every
// millisecond. When that happens again and again, standbys come with an alarm for a while: the perf event of the switch detector, where
// that is permitted. It costs each block an interrupt, and needs no idle moment.
type idleDetector struct {
	timerDetector // how a standby looks
	watcher       watch
	pool          *Pool
	ticks         tickClock
	// starvedUntilNs is until when the watcher is not relied upon. Atomic because any standby may be the one that took over.
	starvedUntilNs atomic.Int64
	// Blocks that the backstop found since firstMissNs, and claims of the watcher until then. Written by the standby that has
	// just taken over, one at a time.
	firstMissNs atomic.Int64
	misses      atomic.Uint64
	claims      atomic.Uint64
}

// So many misses within missesNs, and more than claims, make a starved watcher, which is not relied upon for starvedNs. (A tick may
// come upon a block that the watcher is just about to see.)
const (
	missesMax = 3
	missesNs  = 100_000_000
	starvedNs = 300_000_000
)

func idleDetectors() []detector { return []detector{&idleDetector{}} }

func (*idleDetector) name() string { return DetectorIdle }

func (d *idleDetector) probe(cpu int) error {
	cpu, err := onlyCPU(cpu)
	if err != nil {
		return err
	}
	if err := d.timerDetector.probe(cpu); err != nil {
		return err
	}
	w := new(watch)
	if err := w.start(cpu, "probe"); err != nil {
		return err
	}
	w.stop()
	return nil
}

// onlyCPU is the processor that the pool's threads can only be on.
func onlyCPU(cpu int) (int, error) {
	if cpu >= 0 {
		return cpu, nil
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("sched_getaffinity: %w", err)
	}
	if set.Count() != 1 {
		return 0, errors.New("the watcher must be on the head's processor, and the pool is not bound to one (Config.CPU is -1)")
	}
	for cpu = 0; !set.IsSet(cpu); cpu++ {
	}
	return cpu, nil
}

func (d *idleDetector) start(p *Pool) error {
	cpu, err := onlyCPU(p.cfg.CPU)
	if err != nil {
		return err
	}
	d.pool = p
	d.ticks = tickClock{sinceTicks: ticks(), sinceNs: p.clk.nowNs()}
	w := &d.watcher
	w.word, w.free, w.one, w.wakeFd = &p.word, &p.free, 1, int32(p.gate.offerFd)
	p.command = &w.command
	return w.start(cpu, p.threadName("-tlw"))
}

// stop leaves d, and so all that the watcher touches, alive if others keep the processor from it: it will leave some time.
func (d *idleDetector) stop() bool {
	if d.watcher.word != nil && !d.watcher.stop() {
		starved.Store(d, true)
		return false
	}
	return true
}

// starved holds the detectors whose watchers did not leave in time. They will, and touch only this.
var starved sync.Map

func (d *idleDetector) watch(t *thread) {
	d.watcher.wake()
	if t.alarm != nil {
		t.alarmOn()
	}
}

func (*idleDetector) unwatch(t *thread) { t.alarmOff() }

// home gives t an alarm, or takes it. Only t's thread reads the alarm's ring.
func (d *idleDetector) home(t *thread) {
	switch starves := d.starves(); {
	case starves && t.alarm == nil:
		if r, err := openPerfRing(); err == nil && t.pool.gate.addAlarm(t, r) != nil {
			t.closeRings()
		}
	case !starves && t.alarm != nil:
		t.closeRings()
	}
}

// freed: a watcher that has found no standby sleeps.
func (d *idleDetector) freed() {
	if word(d.watcher.word.Load()).state() == inBody {
		d.watcher.wake()
	}
}

func (d *idleDetector) starves() bool {
	until := d.starvedUntilNs.Load()
	if until == 0 {
		return false
	}
	if d.pool.clk.nowNs() < until {
		return true
	}
	d.starvedUntilNs.CompareAndSwap(until, 0)
	return false
}

// blocked: a thread that comes home leaves it to the watcher. Otherwise the head is looked at, at once: it is the alarm or the
// backstop.
func (d *idleDetector) blocked(t *thread, _ word, why causes) (int64, bool) {
	if why&(causeTick|causeAlarm) == 0 {
		return 0, false
	}
	return 0, t.sleeps()
}

func (d *idleDetector) claimedAtNs() int64 {
	return d.ticks.ns(d.watcher.claimedTicks, ticks(), d.pool.clk.nowNs())
}

// reason is asked only when not the watcher has claimed.
func (d *idleDetector) reason(_ *thread, why causes) Reason {
	if why&causeAlarm != 0 {
		return BySwitch
	}
	nowNs := d.pool.clk.nowNs()
	if nowNs-d.firstMissNs.Load() > missesNs {
		d.firstMissNs.Store(nowNs)
		d.misses.Store(0)
		d.claims.Store(d.pool.count.takeovers[ByIdle].Load())
	}
	if n := d.misses.Add(1); n >= missesMax && n > d.pool.count.takeovers[ByIdle].Load()-d.claims.Load() {
		d.starvedUntilNs.Store(nowNs + starvedNs)
	}
	return ByBackstop
}

func (*idleDetector) periodNs() int64 { return backstopNs }

func (d *idleDetector) detach(t *thread) {
	d.timerDetector.detach(t)
	t.closeRings()
}
