package threadlet

import (
	"runtime"

	"github.com/syslet/syslet/runtime/perfring"
)

// backstopNs bounds how long a block may go unnoticed if its wake-up went astray.
const backstopNs = 1_000_000

// switchDetector wakes a standby by the perf switch records of the head's thread.
type switchDetector struct{ noWatcher }

func (*switchDetector) name() string { return DetectorSwitch }

func (*switchDetector) probe(int) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r, err := openPerfRing()
		if err == nil {
			err = r.Close()
		}
		result <- err
	}()
	return <-result
}

func (d *switchDetector) attach(t *thread, g *gate) (err error) {
	if t.ring, err = openPerfRing(); err != nil {
		return err
	}
	return g.addAlarm(t, t.ring)
}

func (*switchDetector) watch(t *thread)   { t.alarmOn() }
func (*switchDetector) unwatch(t *thread) { t.alarmOff() }

// alarmOn has t's next block wake a standby. t's own thread.
func (t *thread) alarmOn() {
	t.alarmed = true
	t.alarm.Pause(false)
	if !t.armed.Load() {
		t.pool.gate.rearm(t)
	}
}

// alarmOff ends that. t's own thread.
func (t *thread) alarmOff() {
	if t.alarmed {
		t.alarmed = false
		t.alarm.Pause(true)
	}
}

func (*switchDetector) blocked(t *thread, _ word, _ causes) (int64, bool) { return t.ring.Blocked() }

func (*switchDetector) mark(t *thread) uint64 { return t.ring.Written() }

func (*switchDetector) blockedSince(t *thread, mark uint64) bool {
	return t.ring.BlockedBetween(mark, t.ring.Written())
}

// reason calls it a miss of the wake-up only if none was under way: a tick or a signal may overtake it.
func (*switchDetector) reason(old *thread, why causes) Reason {
	switch {
	case why&causeReturn != 0:
		return ByReturn
	case why&(causeAlarm|causeOffer) != 0 || !old.armed.Load() || old.alarm.HasWoken():
		return BySwitch
	}
	return ByBackstop
}

func (*switchDetector) periodNs() int64 { return backstopNs }

func (*switchDetector) detach(t *thread) { t.closeRings() }

func (t *thread) closeRings() {
	for _, r := range []*perfring.Ring{t.ring, t.alarm} {
		if r != nil {
			_ = r.Close()
		}
	}
	t.ring, t.alarm = nil, nil
	t.alarmFd.Store(-1)
}
