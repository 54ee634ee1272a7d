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
// millisecond. From then on, and for as long as it goes on like this, standbys come with an alarm, the perf event of the
// switch detector, where that is permitted; it costs an interrupt per block and needs no idle moment.
type idleDetector struct {
	timerDetector // how a standby looks
	watcher       watch
	clk           *clock
	// starvedUntilNs is until when the watcher is not relied upon. Atomic because any standby may be the one that took over.
	starvedUntilNs atomic.Int64
}

// starvedNs is for how long a starved watcher is not relied upon.
const starvedNs = 1_000_000_000

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
	d.clk = &p.clk
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
	if d.clk.nowNs() < until {
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

func (d *idleDetector) claimedAtNs() int64 { return d.watcher.claimedAt.Nano() }

// reason is asked only when not the watcher has claimed: it is starved.
func (d *idleDetector) reason(_ *thread, why causes) Reason {
	d.starvedUntilNs.Store(d.clk.nowNs() + starvedNs)
	if why&causeAlarm != 0 {
		return BySwitch
	}
	return ByBackstop
}

func (*idleDetector) periodNs() int64 { return backstopNs }

func (d *idleDetector) detach(t *thread) {
	d.timerDetector.detach(t)
	t.closeRings()
}
