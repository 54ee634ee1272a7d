package sim

import "golang.org/x/sys/unix"

// What the kernel leaves in the result of a system call that it will begin again:
// ERESTARTSYS and its kin (include/linux/errno.h). A call that is over has another.
const (
	restartSys   = -512
	restartBlock = -516
)

// sleepsByClock reports whether the stopped thread is in the middle of nanosleep or
// of a futex wait, which are how Go's monitor waits, or of a read: so the simulator's
// threads wait for their turn (valgrind --fair-sched=no: a byte in a pipe), which a
// loop in io_uring_enter keeps while it waits. The monitor itself reads nothing.
func sleepsByClock(tid int) bool {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) != nil {
		return false
	}
	result := int64(regs.Rax)
	if result > restartSys || result < restartBlock {
		return false
	}
	switch regs.Orig_rax {
	case unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_FUTEX, unix.SYS_RESTART_SYSCALL, unix.SYS_READ:
		return true
	}
	return false
}
