#include "textflag.h"
#include "go_asm.h"

// The watcher; see watcher.go for what it does and why it is written like this. It keeps its watch in R12 and uses no stack.

#define SYS_write 1
#define SYS_sched_yield 24
#define SYS_clone 56
#define SYS_exit 60
#define SYS_futex 202

// func cloneWatcher(w *watch, stackTop uintptr) (tid int64)
TEXT ·cloneWatcher(SB), NOSPLIT, $0-24
	MOVQ w+0(FP), R12
	MOVQ stackTop+8(FP), SI
	MOVQ $const_cloneFlags, DI
	LEAQ watch_tid(R12), DX    // the thread's number: stored before the thread runs,
	MOVQ DX, R10               // cleared, with a futex wake, when it exits
	MOVQ $0, R8                // no TLS
	MOVQ $SYS_clone, AX
	SYSCALL
	TESTQ AX, AX
	JEQ  look
	MOVQ AX, tid+16(FP)
	RET

yield:
	MOVQ $SYS_sched_yield, AX
	SYSCALL
look:
	MOVL watch_command(R12), AX
	CMPL AX, $const_commandWatch
	JNE  rest
	MOVQ watch_word(R12), R13
	MOVQ (R13), R14            // the ownership word
	MOVQ R14, AX
	ANDQ $const_stateMask, AX
	CMPQ AX, $const_inBody
	JNE  yield

	// The newest record of the head's ring.
	MOVQ R14, AX
	SHRQ $const_threadShift, AX
	ANDQ $(const_maxThreads-1), AX
	IMULQ $ringView__size, AX
	ADDQ watch_rings(R12), AX
	MOVQ ringView_head(AX), R8
	MOVQ (R8), R9              // bytes written
	TESTQ R9, R9
	JEQ  yield
	LEAQ -const_recordSize(R9), BX
	ANDQ ringView_mask(AX), BX
	ADDQ ringView_data(AX), BX
	MOVQ (BX), CX              // header
	MOVQ 8(BX), R15            // time
	CMPL CX, $const_recordSwitch
	JNE  yield
	SHRQ $32, CX
	ANDL $(const_switchOut|const_switchOutPreempt), CX
	CMPL CX, $const_switchOut
	JNE  yield
	CMPQ R9, (R8)
	JNE  look                  // overwritten meanwhile

	// Blocked. Reserve a standby.
	MOVQ watch_free(R12), BX
	MOVL (BX), AX
reserve:
	CMPL AX, $0
	JLE  bound
	LEAL -1(AX), CX
	LOCK
	CMPXCHGL CX, (BX)
	JNE  reserve

	// Claim: next epoch, state claimed, if the word is what it was.
	MOVQ R15, watch_claimedAtNs(R12)
	MOVQ R14, CX
	ADDQ $(1<<const_epochShift), CX
	MOVQ $const_epochMask, DX
	ANDQ DX, CX
	NOTQ DX
	ANDQ R14, DX
	ORQ  DX, CX
	ANDQ $~const_stateMask, CX
	ORQ  $const_claimed, CX
	MOVQ R14, AX
	LOCK
	CMPXCHGQ CX, (R13)
	JNE  lost
	MOVLQSX watch_wakeFd(R12), DI
	LEAQ watch_one(R12), SI
	MOVQ $8, DX
	MOVQ $SYS_write, AX
	SYSCALL
	JMP  yield
lost:
	LOCK
	ADDL $1, (BX)
	JMP  look

bound:
	// No standby is free: sleep until a head asks again.
	MOVL $const_commandWatch, AX
	MOVL $const_commandSleep, CX
	LOCK
	CMPXCHGL CX, watch_command(R12)
	JMP  look

rest:
	CMPL AX, $const_commandSleep
	JNE  exit
	// Announce the sleep, then look again: who changes the command looks at asleep afterwards.
	MOVL $1, AX
	XCHGL AX, watch_asleep(R12)
	LEAQ watch_command(R12), DI
	MOVQ $const_futexWaitPrivate, SI
	MOVQ $const_commandSleep, DX
	MOVQ $0, R10               // no timeout
	MOVQ $SYS_futex, AX
	SYSCALL
	MOVL $0, AX
	XCHGL AX, watch_asleep(R12)
	JMP  look

exit:
	MOVQ $0, DI
	MOVQ $SYS_exit, AX
	SYSCALL
	INT  $3
