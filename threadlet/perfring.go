package threadlet

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	recordSize = 16 // PERF_RECORD_SWITCH: struct perf_event_header (8) and, for sample_id_all, the time (8)

	recordSwitch     = unix.PERF_RECORD_SWITCH
	switchOut        = 1 << 13 // PERF_RECORD_MISC_SWITCH_OUT, perf_event_open(2)
	switchOutPreempt = 1 << 14 // PERF_RECORD_MISC_SWITCH_OUT_PREEMPT, since Linux 4.17
	ringPagesForData = 1
	primeAttemptsMax = 100
	primeSleepNs     = 1000
	pairSize         = 2 * recordSize // a thread's records alternate: out, in
)

// perfRing is a software perf event on one thread whose records are the thread's context switches.
//
// It is mapped read-only, so the kernel overwrites the oldest records and never waits for a reader: whoever wants to
// know looks at the newest one. It works unprivileged at perf_event_paranoid 2 (exclude_kernel; perf_event_open(2)).
//
// The wake-up watermark is two records, and the kernel wakes a poller when more than the watermark was written since the
// last wake-up, that is with records 3, 5, 7 and so on. A thread's records alternate, out and in, so once the ring is
// primed with one pair only the *out* records wake. (With a wake-up per record the standby's own departure from the CPU,
// which switches the head in, would wake the standby again, for ever.) Output is therefore paused and resumed only by
// the thread itself: it runs then, so pairs stay pairs.
type perfRing struct {
	fd   int
	mem  []byte
	head *uint64 // data_head in the first page: bytes written since the start; the kernel stores it with release order
	data unsafe.Pointer
	mask uint64
}

// switchAttr: PERF_COUNT_SW_DUMMY counts nothing; it carries the side-band records (Linux 3.12; context_switch 4.3).
func switchAttr() unix.PerfEventAttr {
	return unix.PerfEventAttr{
		Type:        unix.PERF_TYPE_SOFTWARE,
		Config:      unix.PERF_COUNT_SW_DUMMY,
		Size:        uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample_type: unix.PERF_SAMPLE_TIME,
		Bits: unix.PerfBitContextSwitch | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv |
			unix.PerfBitWatermark | unix.PerfBitSampleIDAll | unix.PerfBitUseClockID,
		Wakeup:  pairSize,
		Clockid: unix.CLOCK_MONOTONIC,
	}
}

// openPerfRing opens the ring for the calling thread, which must be locked, and primes it. Output is on.
func openPerfRing() (*perfRing, error) {
	attr := switchAttr()
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, explainPerf("perf_event_open", err)
	}
	page := os.Getpagesize()
	mem, err := unix.Mmap(fd, 0, (1+ringPagesForData)*page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Close(fd)
		return nil, explainPerf("mmap of the perf ring", err)
	}
	meta := (*unix.PerfEventMmapPage)(unsafe.Pointer(&mem[0]))
	r := &perfRing{fd: fd, mem: mem, head: &meta.Data_head, data: unsafe.Pointer(&mem[page]), mask: uint64(page*ringPagesForData - 1)}
	if err := r.prime(); err != nil {
		_ = r.close()
		return nil, err
	}
	return r, nil
}

func explainPerf(what string, err error) error {
	const paranoid = "/proc/sys/kernel/perf_event_paranoid"
	switch err {
	case unix.EACCES, unix.EPERM:
		level, _ := os.ReadFile(paranoid)
		if what != "perf_event_open" {
			return fmt.Errorf("%s: %w (raise kernel.perf_event_mlock_kb or RLIMIT_MEMLOCK)", what, err)
		}
		return fmt.Errorf("%s: %w (%s is %q; 2 or less is needed, and no seccomp filter that forbids the call)", what, err, paranoid, string(level))
	case unix.ENOENT, unix.ENOSYS, unix.EOPNOTSUPP:
		return fmt.Errorf("%s: %w (kernel built without perf events: CONFIG_PERF_EVENTS)", what, err)
	case unix.EMFILE, unix.ENFILE:
		return fmt.Errorf("%s: %w (raise RLIMIT_NOFILE: one descriptor per thread of the pool)", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// prime blocks the calling thread until the ring shows whole pairs, and so also proves that records arrive.
func (r *perfRing) prime() error {
	for range primeAttemptsMax {
		ts := unix.Timespec{Nsec: primeSleepNs}
		_ = unix.Nanosleep(&ts, nil)
		if h := r.written(); h >= pairSize {
			if h%pairSize != 0 {
				return fmt.Errorf("perf switch records: %d bytes after a sleep, not whole out/in pairs of %d", h, pairSize)
			}
			return nil
		}
	}
	return fmt.Errorf("perf switch records: none arrived after %d sleeps of this thread (emulated kernel?)", primeAttemptsMax)
}

// written is the number of bytes the kernel has written so far. Any thread. Acquire order: the kernel publishes a record before it.
func (r *perfRing) written() uint64 { return atomic.LoadUint64(r.head) }

func (r *perfRing) recordAt(end uint64) (header uint64, timeNs int64) {
	at := (end - recordSize) & r.mask
	// Atomic because the kernel may be overwriting them; 8-byte aligned, so never torn.
	header = atomic.LoadUint64((*uint64)(unsafe.Add(r.data, at)))
	timeNs = int64(atomic.LoadUint64((*uint64)(unsafe.Add(r.data, at+8))))
	return header, timeNs
}

// blocked says whether the newest record is a switch-out that was no preemption, and its CLOCK_MONOTONIC time. Any thread.
func (r *perfRing) blocked() (sinceNs int64, yes bool) {
	end := r.written()
	header, sinceNs := r.recordAt(end)
	return sinceNs, end != 0 && isBlock(header) && r.written() == end
}

// blockedBetween says whether the thread blocked at least once between two values of written. The ring's own thread.
func (r *perfRing) blockedBetween(from, to uint64) bool {
	if to-from > r.mask {
		return true // overwritten: so many switches that one may be assumed to be a block
	}
	for end := from + recordSize; end <= to; end += recordSize {
		if header, _ := r.recordAt(end); isBlock(header) {
			return true
		}
	}
	return false
}

// isBlock takes the first word of a record: type (32 bits), misc (16), size (16), little endian as on all Go ports with perf
// that this package is built for.
func isBlock(header uint64) bool {
	misc := header >> 32 & 0xffff
	return uint32(header) == recordSwitch && misc&switchOut != 0 && misc&switchOutPreempt == 0
}

// pause stops output (true) or resumes it: PERF_EVENT_IOC_PAUSE_OUTPUT (Linux 4.7), a third of the price of DISABLE. The ring's
// own thread. After a pause the kernel writes a record of what was lost, of two records' size, before the next one.
func (r *perfRing) pause(on bool) {
	var arg uintptr
	if on {
		arg = 1
	}
	// Raw: it cannot block, the event's lock is taken by this thread alone.
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(r.fd), unix.PERF_EVENT_IOC_PAUSE_OUTPUT, arg)
}

// hasWoken says whether the ring has woken its poller and nobody has noticed yet. It is noticed now. Any thread.
func (r *perfRing) hasWoken() bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}, 0)
	return n == 1
}

func (r *perfRing) close() error {
	err := unix.Munmap(r.mem)
	if e := unix.Close(r.fd); err == nil {
		err = e
	}
	r.fd = -1
	return err
}
