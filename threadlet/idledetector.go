//go:build amd64 || arm64

package threadlet

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// idleDetector has a watcher on the head's processor that gets to run when the head leaves it; see watcher.go.
type idleDetector struct {
	watcher watch
	rings   []ringView
	left    bool // the watcher is gone
}

func idleDetectors() []detector { return []detector{&idleDetector{}} }

func (*idleDetector) name() string { return DetectorIdle }

func (d *idleDetector) probe(cpu int) error {
	cpu, err := onlyCPU(cpu)
	if err != nil {
		return err
	}
	if err := (&switchDetector{}).probe(cpu); err != nil {
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

func (d *idleDetector) attach(t *thread, _ *gate) (err error) {
	t.ring, err = openPerfRing(wakesRarely)
	return err
}

func (d *idleDetector) start(p *Pool) error {
	cpu, err := onlyCPU(p.cfg.CPU)
	if err != nil {
		return err
	}
	for _, t := range p.threads {
		d.rings = append(d.rings, ringView{head: t.ring.head, data: t.ring.data, mask: t.ring.mask})
	}
	w := &d.watcher
	w.word, w.free, w.rings, w.one, w.wakeFd = &p.word, &p.free, &d.rings[0], 1, int32(p.gate.offerFd)
	return w.start(cpu, p.threadName("-tlw"))
}

func (d *idleDetector) stop() {
	d.left = d.watcher.word == nil || d.watcher.stop()
}

func (d *idleDetector) watch(*thread)   { d.watcher.wake() }
func (d *idleDetector) unwatch(*thread) { d.watcher.rest() }

func (*idleDetector) blocked(t *thread, _ word, _ causes) (int64, bool) { return t.ring.blocked() }
func (d *idleDetector) claimedAtNs() int64                              { return d.watcher.claimedAtNs }
func (*idleDetector) mark(t *thread) uint64                             { return t.ring.written() }

func (*idleDetector) blockedSince(t *thread, mark uint64) bool {
	return t.ring.blockedBetween(mark, t.ring.written())
}

func (*idleDetector) reason(_ *thread, why causes) Reason {
	if why&causeReturn != 0 {
		return ByReturn
	}
	return ByBackstop
}

func (*idleDetector) periodNs() int64 { return backstopNs }

// detach leaves the rings mapped for a watcher that has not had the processor since it was told to end: it may be in the middle
// of a look. (It keeps d alive by nothing, so d is kept.)
func (d *idleDetector) detach(t *thread) {
	if !d.left {
		starved.Store(d, true)
		return
	}
	if t.ring != nil {
		_ = t.ring.close()
		t.ring = nil
	}
}

// starved holds the detectors whose watchers did not leave in time. They will, and touch only this.
var starved sync.Map
