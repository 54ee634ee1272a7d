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

look:
	MOVL watch_command(R12), AX
	CMPL AX, $const_commandStop
	JEQ  exit
	CMPL AX, $const_commandSleep
	JEQ  sleep
	MOVQ watch_word(R12), R13
	MOVQ watch_free(R12), BX
	MOVQ (R13), R14            // the ownership word
	MOVQ R14, AX
	ANDQ $const_stateMask, AX
	CMPQ AX, $const_inBody
	JNE  nap

	// A head that could run would run now.
	MOVQ $SYS_sched_yield, AX
	SYSCALL
	CMPQ R14, (R13)
	JNE  look

	// It is blocked, in that body. Reserve a standby.
	MOVL (BX), AX
reserve:
	CMPL AX, $0
	JLE  nap
	LEAL -1(AX), CX
	LOCK
	CMPXCHGL CX, (BX)
	JNE  reserve
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, watch_claimedTicks(R12)

	// Claim: next epoch, state claimed, if the word is what it was.
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
	JEQ  wakeup
	// The head came back. The reservation is given back; work may have been set aside meanwhile for want of one, so a
	// standby is woken all the same (Pool.unreserve).
	LOCK
	ADDL $1, (BX)
wakeup:
	MOVLQSX watch_wakeFd(R12), DI
	LEAQ watch_one(R12), SI
	MOVQ $8, DX
	MOVQ $SYS_write, AX
	SYSCALL                    // the standby has the processor now
	JMP  look

nap:
	// No body, or no standby: sleep. Who begins a body, or comes home, looks at the command afterwards, so say it and then look at
	// both again.
	MOVL $const_commandWatch, AX
	MOVL $const_commandSleep, CX
	LOCK
	CMPXCHGL CX, watch_command(R12)
	MOVQ (R13), AX
	ANDQ $const_stateMask, AX
	CMPQ AX, $const_inBody
	JNE  sleep
	CMPL (BX), $0
	JLE  sleep
	MOVL $const_commandSleep, AX
	MOVL $const_commandWatch, CX
	LOCK
	CMPXCHGL CX, watch_command(R12)
	JMP  look
sleep:
	LEAQ watch_command(R12), DI
	MOVQ $const_futexWaitPrivate, SI
	MOVQ $const_commandSleep, DX
	MOVQ $0, R10               // no timeout
	MOVQ $SYS_futex, AX
	SYSCALL
	CMPL watch_command(R12), $const_commandSleep
	JEQ  sleep                 // for no reason
	JMP  look

exit:
	MOVQ $0, DI
	MOVQ $SYS_exit, AX
	SYSCALL
	INT  $3

// func ticks() uint64
TEXT ·ticks(SB), NOSPLIT, $0-8
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET
