// Package perfring is the kernel's own record of when one thread left its CPU and
// came back: a software perf event whose context-switch records lie in pages that
// are mapped into the process. It works unprivileged at perf_event_paranoid 2
// (exclude_kernel; perf_event_open(2)), and the thread pays for it only when it is
// switched. The threadlet mechanism notices blocks by it, the runtime's models
// count them.
package perfring

import (
	"bytes"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// RecordBytes is the size of a PERF_RECORD_SWITCH: struct perf_event_header (8)
	// and, for sample_id_all, the time (8).
	RecordBytes = 16
	// PairBytes is that of a thread's absence: records alternate, out and in. Whoever
	// runs sees whole pairs of itself.
	PairBytes = 2 * RecordBytes

	switchOut        = 1 << 13 // PERF_RECORD_MISC_SWITCH_OUT, perf_event_open(2)
	switchOutPreempt = 1 << 14 // PERF_RECORD_MISC_SWITCH_OUT_PREEMPT, since Linux 4.17
	primeAttemptsMax = 100
)

// Ring is the records of one thread. It is mapped read-only, so the kernel
// overwrites the oldest ones and never waits for a reader.
type Ring struct {
	fd   int
	mem  []byte
	head *uint64 // data_head in the first page: bytes written since the start; the kernel stores it with release order
	data unsafe.Pointer
	size uint64 // of data, in bytes; a power of two
}

// Record is one switch of the thread.
type Record struct {
	Out       bool  // it left the CPU
	Preempted bool  // because another thread was given the CPU; this one did not wait
	TimeNs    int64 // CLOCK_MONOTONIC
}

// Open opens the ring of a thread of this process, 0 for the calling one. pages is a
// power of two; the kernel wakes who polls FD when more than wakeBytes were written
// since it last did. If no one else counts switches on this system that takes an RCU
// grace period, 5 ms as measured. The error names what the system refuses and the setting.
func Open(tid, pages, wakeBytes int) (*Ring, error) {
	attr := unix.PerfEventAttr{ // PERF_COUNT_SW_DUMMY counts nothing; it carries the records (Linux 3.12; context_switch 4.3)
		Type:        unix.PERF_TYPE_SOFTWARE,
		Config:      unix.PERF_COUNT_SW_DUMMY,
		Size:        uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample_type: unix.PERF_SAMPLE_TIME,
		Bits: unix.PerfBitContextSwitch | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv |
			unix.PerfBitWatermark | unix.PerfBitSampleIDAll | unix.PerfBitUseClockID,
		Wakeup:  uint32(wakeBytes),
		Clockid: unix.CLOCK_MONOTONIC,
	}
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, explain(err)
	}
	page := os.Getpagesize()
	mem, err := unix.Mmap(fd, 0, (1+pages)*page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("mmap of %d pages of perf records: %w (raise kernel.perf_event_mlock_kb or RLIMIT_MEMLOCK)", 1+pages, err)
	}
	meta := (*unix.PerfEventMmapPage)(unsafe.Pointer(&mem[0]))
	return &Ring{fd: fd, mem: mem, head: &meta.Data_head, data: unsafe.Pointer(&mem[page]), size: uint64(pages * page)}, nil
}

func explain(err error) error {
	const paranoid = "/proc/sys/kernel/perf_event_paranoid"
	switch err {
	case unix.EACCES, unix.EPERM:
		level, _ := os.ReadFile(paranoid)
		return fmt.Errorf("perf_event_open: %w (%s is %s; 2 or less is needed, and no seccomp filter that forbids the call)", err, paranoid, bytes.TrimSpace(level))
	case unix.ENOENT, unix.ENOSYS, unix.EOPNOTSUPP:
		return fmt.Errorf("perf_event_open: %w (kernel built without perf events: CONFIG_PERF_EVENTS)", err)
	case unix.EMFILE, unix.ENFILE:
		return fmt.Errorf("perf_event_open: %w (raise RLIMIT_NOFILE: one descriptor per thread that is watched)", err)
	}
	return fmt.Errorf("perf_event_open: %w", err)
}

// Prime blocks the calling thread, the ring's own, until the ring shows whole
// pairs, and so proves that records arrive: an emulated kernel may take the call
// and write none.
func (r *Ring) Prime() error {
	for i := range primeAttemptsMax {
		ts := unix.Timespec{Nsec: int64(i+1) * 1000} // a real-time thread does not leave its CPU for less than the timer takes
		_ = unix.Nanosleep(&ts, nil)
		if n := r.Written(); n%PairBytes != 0 {
			return fmt.Errorf("perf switch records: %d bytes after a sleep, not whole out/in pairs of %d", n, PairBytes)
		} else if n > 0 {
			return nil
		}
	}
	return fmt.Errorf("perf switch records: none arrived after %d sleeps of this thread (emulated kernel?)", primeAttemptsMax)
}

// FD is the event's descriptor, to be polled.
func (r *Ring) FD() int { return r.fd }

// Counter is the address of Written's value, valid until Close. Load it
// atomically: the kernel publishes a record before it.
func (r *Ring) Counter() *uint64 { return r.head }

// Written is the number of bytes the kernel has written so far. Any thread.
// Acquire order: the records before it can be read.
func (r *Ring) Written() uint64 { return atomic.LoadUint64(r.head) }

// Size is how many of the bytes written last are still there.
func (r *Ring) Size() uint64 { return r.size }

// Before is the record that ends at end, a value of Written or whole records
// less. It is the zero Record if the kernel wrote something else there.
func (r *Ring) Before(end uint64) Record {
	at := (end - RecordBytes) & (r.size - 1)
	// Atomic because the kernel may be overwriting them; 8-byte aligned, so never
	// torn. The first word is type (32 bits), misc (16), size (16), little endian as
	// on all Go ports with perf that this package is built for.
	header := atomic.LoadUint64((*uint64)(unsafe.Add(r.data, at)))
	timeNs := int64(atomic.LoadUint64((*uint64)(unsafe.Add(r.data, at+8))))
	if uint32(header) != unix.PERF_RECORD_SWITCH {
		return Record{}
	}
	misc := header >> 32 & 0xffff
	return Record{Out: misc&switchOut != 0, Preempted: misc&switchOutPreempt != 0, TimeNs: timeNs}
}

// block says that the thread went because it waits.
func (x Record) block() bool { return x.Out && !x.Preempted }

// Blocked says whether the newest record is a switch-out that was no preemption,
// and its CLOCK_MONOTONIC time. Any thread.
func (r *Ring) Blocked() (sinceNs int64, yes bool) {
	end := r.Written()
	x := r.Before(end)
	return x.TimeNs, end != 0 && x.block() && r.Written() == end
}

// BlockedBetween says whether the thread blocked at least once between two values
// of Written. The ring's own thread.
func (r *Ring) BlockedBetween(from, to uint64) bool {
	if to-from > r.size {
		return true // overwritten: so many switches that one may be assumed to be a block
	}
	for end := from + RecordBytes; end <= to; end += RecordBytes {
		if r.Before(end).block() {
			return true
		}
	}
	return false
}

// Pause stops output (true) or resumes it: PERF_EVENT_IOC_PAUSE_OUTPUT (Linux 4.7),
// a third of the price of DISABLE. Only the ring's own thread, which runs then, so
// pairs stay pairs. After a pause the kernel writes a record of what was lost, of
// two records' size, before the next one.
func (r *Ring) Pause(on bool) {
	var arg uintptr
	if on {
		arg = 1
	}
	// Raw: it cannot block, the event's lock is taken by this thread alone.
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(r.fd), unix.PERF_EVENT_IOC_PAUSE_OUTPUT, arg)
}

// HasWoken says whether the ring has woken its poller and nobody has noticed yet.
// It is noticed now. Any thread.
func (r *Ring) HasWoken() bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}, 0)
	return n == 1
}

// Close unmaps and closes the ring, which nobody reads any more. A second time it
// does nothing.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	err := unix.Munmap(r.mem)
	if e := unix.Close(r.fd); err == nil {
		err = e
	}
	r.fd = -1
	return err
}
