// Package switchlog is a runtime.BlockSensor: the kernel's own records of when a
// thread left its CPU and came back, in a page that is mapped into the process.
// It needs no privilege at perf_event_paranoid 2 or less, and the thread pays
// for it only when it is switched.
package switchlog

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

const (
	recordSize = 16 // PERF_RECORD_SWITCH: struct perf_event_header (8) and, for sample_id_all, the time (8)
	// Flags of a record (perf_event_open(2)): the thread went out, because another
	// was given the CPU (since Linux 4.17).
	switchOut        = 1 << 13
	switchOutPreempt = 1 << 14
	primeAttemptsMax = 100
)

// Log is the log of one thread. The kernel overwrites what is old, and waits for
// nobody: the mapping is read-only.
type Log struct {
	fd   int
	mem  []byte
	head *uint64 // data_head: bytes written since the start; stored by the kernel after the record
	data unsafe.Pointer
	size uint64 // a power of two
}

// sizes of the ring, in pages: the first that the kernel permits is taken. It
// notifies who polls the descriptor once per round of the ring, at least, which
// costs a virtual machine 11 us even if nobody does: so the ring is not small.
var sizes = []int{8, 1}

// Open opens the log of the calling thread, which must be locked. The error says
// what the system refuses.
func Open() (l *Log, err error) {
	for _, pages := range sizes {
		if l, err = open(pages); err == nil {
			break
		}
	}
	if err == nil && !proven.Load() {
		err = l.prime()
		proven.Store(err == nil)
	}
	return l, err
}

// proven: a log has shown records. Set by whichever thread finds out.
var proven atomic.Bool

func open(pages int) (*Log, error) {
	page := os.Getpagesize()
	attr := unix.PerfEventAttr{ // PERF_COUNT_SW_DUMMY counts nothing and carries the records (Linux 4.3)
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_DUMMY, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample_type: unix.PERF_SAMPLE_TIME, Wakeup: uint32(pages * page), Clockid: unix.CLOCK_MONOTONIC,
		Bits: unix.PerfBitContextSwitch | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv | unix.PerfBitWatermark |
			unix.PerfBitSampleIDAll | unix.PerfBitUseClockID,
	}
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		level, _ := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
		return nil, fmt.Errorf("perf_event_open: %w (kernel.perf_event_paranoid is %.2q, 2 or less is needed, and no seccomp filter that forbids the call)",
			err, level)
	}
	mem, err := unix.Mmap(fd, 0, (1+pages)*page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("mmap of %d pages of perf records: %w (raise kernel.perf_event_mlock_kb or RLIMIT_MEMLOCK)", 1+pages, err)
	}
	meta := (*unix.PerfEventMmapPage)(unsafe.Pointer(&mem[0]))
	return &Log{fd: fd, mem: mem, head: &meta.Data_head, data: unsafe.Pointer(&mem[page]), size: uint64(pages * page)}, nil
}

// prime blocks the thread until its first record is there: an emulated kernel
// may take the call and write none.
func (l *Log) prime() error {
	for i := range primeAttemptsMax {
		ts := unix.Timespec{Nsec: int64(i+1) * 1000} // a real-time thread does not leave its CPU for less than the timer takes
		_ = unix.Nanosleep(&ts, nil)
		if n := atomic.LoadUint64(l.head); n > 0 && n%(2*recordSize) == 0 {
			return nil
		}
	}
	n := atomic.LoadUint64(l.head)
	l.Close()
	return fmt.Errorf("perf switch records: %d bytes after %d sleeps, want pairs of %d (emulated kernel?)", n, primeAttemptsMax, 2*recordSize)
}

// Counter implements runtime.BlockSensor.
func (l *Log) Counter() *uint64 { return l.head }

func (l *Log) record(end uint64) (out, preempted bool, timeNs int64) {
	at := (end - recordSize) & (l.size - 1)
	// Atomic: the kernel may be writing. Type (32 bits), flags (16), size (16).
	header := atomic.LoadUint64((*uint64)(unsafe.Add(l.data, at)))
	flags := header >> 32 & 0xffff
	isSwitch := uint32(header) == unix.PERF_RECORD_SWITCH
	return isSwitch && flags&switchOut != 0, flags&switchOutPreempt != 0, int64(atomic.LoadUint64((*uint64)(unsafe.Add(l.data, at+8))))
}

// Switches implements runtime.BlockSensor.
func (l *Log) Switches(from, to uint64, out []runtime.Switch) (n int, next, lost uint64) {
	if to-from > l.size {
		lost = to - from - l.size
		from = to - l.size
	}
	for ; to-from >= 2*recordSize && n < len(out); from += 2 * recordSize {
		_, preempted, outNs := l.record(from + recordSize)
		_, _, inNs := l.record(from + 2*recordSize)
		out[n] = runtime.Switch{OutNs: outNs, InNs: inNs, Preempted: preempted}
		n++
	}
	return n, from, lost
}

// Blocked implements runtime.BlockSensor.
func (l *Log) Blocked() (sinceNs int64, yes bool) {
	end := atomic.LoadUint64(l.head)
	if end == 0 {
		return 0, false
	}
	out, preempted, sinceNs := l.record(end)
	return sinceNs, out && !preempted && atomic.LoadUint64(l.head) == end
}

// Close releases the log. Nobody reads it any more.
func (l *Log) Close() {
	_ = unix.Munmap(l.mem)
	_ = unix.Close(l.fd)
}

// Attach lets s open a log of the calling thread, its only head, unless the
// system forbids it. detach comes after Loop.
func Attach(s *runtime.Shard) (detach func()) {
	l, err := Open()
	if err != nil {
		s.SetBlockSensor(nil, err.Error())
		return func() {}
	}
	l.Close()
	s.SetBlockSensing(func() (runtime.BlockSensor, func(), error) {
		l, err := Open()
		if err != nil {
			return nil, nil, err
		}
		return l, l.Close, nil
	})
	return func() { s.SetBlockSensing(nil) }
}
