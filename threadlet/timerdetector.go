package threadlet

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// timerPeriodNs is both the interval between two samples and the age from which on a body is suspected.
const timerPeriodNs = 500_000

// timerDetector has a standby look at the head at a fixed interval: a body that is the same as at the last look and whose
// thread is not runnable (state in /proc/self/task/TID/stat, proc_pid_stat(5)) is blocked. It needs no permission.
type timerDetector struct {
	noWatcher
	seen atomic.Uint64 // the word at the last look; atomic because looks happen on different threads
}

func (*timerDetector) name() string { return DetectorTimer }

func (*timerDetector) probe(int) error {
	fd, err := openStat(unix.Gettid())
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func openStat(tid int) (int, error) {
	path := fmt.Sprintf("/proc/self/task/%d/stat", tid)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w (is /proc mounted?)", path, err)
	}
	return fd, nil
}

func (*timerDetector) attach(t *thread, _ *gate) (err error) {
	t.statFd, err = openStat(t.tid)
	return err
}

func (*timerDetector) watch(*thread)   {}
func (*timerDetector) unwatch(*thread) {}

func (d *timerDetector) blocked(t *thread, w word, why causes) (int64, bool) {
	if why&causeTick == 0 {
		return 0, false
	}
	if d.seen.Swap(uint64(w)) != uint64(w) {
		return 0, false
	}
	return 0, t.sleeps()
}

// sleeps says whether t's thread is neither running nor runnable. Any thread of the pool.
func (t *thread) sleeps() bool {
	var buf [512]byte
	n, err := unix.Pread(t.statFd, buf[:], 0)
	return err == nil && asleepByStat(buf[:n])
}

// asleepByStat reads "pid (name) state ...": the name may hold anything, so the state is what follows the last ')'.
func asleepByStat(stat []byte) bool {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return false
	}
	s := stat[i+2]
	return s == 'S' || s == 'D'
}

// mark is the number of voluntary context switches of the calling thread (getrusage(2)).
func (*timerDetector) mark(*thread) uint64 {
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &ru) != nil {
		return 0
	}
	return uint64(ru.Nvcsw)
}

func (d *timerDetector) blockedSince(t *thread, mark uint64) bool { return d.mark(t) != mark }

func (*timerDetector) reason(*thread, causes) Reason { return ByTimer }
func (*timerDetector) periodNs() int64               { return timerPeriodNs }

func (*timerDetector) detach(t *thread) {
	if t.statFd >= 0 {
		_ = unix.Close(t.statFd)
		t.statFd = -1
	}
}
