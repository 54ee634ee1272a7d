#include "textflag.h"
#include "go_asm.h"

// The watcher; see watcher.go for what it does and why it is written like this. It keeps its watch in R19 and uses no stack.

#define SYS_write 64
#define SYS_exit 93
#define SYS_futex 98
#define SYS_sched_yield 124
#define SYS_clone 220

// func cloneWatcher(w *watch, stackTop uintptr) (tid int64)
TEXT ·cloneWatcher(SB), NOSPLIT, $0-24
	MOVD w+0(FP), R19
	MOVD stackTop+8(FP), R1
	MOVD $const_cloneFlags, R0
	MOVD $watch_tid, R2
	ADD  R19, R2, R2           // the thread's number: stored before the thread runs,
	MOVD R2, R4                // cleared, with a futex wake, when it exits
	MOVD $0, R3                // no TLS
	MOVD $SYS_clone, R8
	SVC
	CBZ  R0, look
	MOVD R0, tid+16(FP)
	RET

look:
	MOVD $watch_command, R9
	ADD  R19, R9, R9
	LDARW (R9), R0
	CMPW $const_commandStop, R0
	BEQ  exit
	CMPW $const_commandSleep, R0
	BEQ  sleep
	MOVD watch_word(R19), R20
	MOVD watch_free(R19), R12
	LDAR (R20), R21            // the ownership word
	AND  $const_stateMask, R21, R0
	CMP  $const_inBody, R0
	BNE  nap

	// A head that could run would run now.
	MOVD $SYS_sched_yield, R8
	SVC
	LDAR (R20), R0
	CMP  R0, R21
	BNE  look

	// It is blocked, in that body. Reserve a standby.
reserve:
	LDAXRW (R12), R0
	CMPW $0, R0
	BLE  nap
	SUBW $1, R0, R0
	STLXRW R0, (R12), R1
	CBNZW R1, reserve
	MRS  CNTVCT_EL0, R0
	MOVD R0, watch_claimedTicks(R19)

	// Claim: next epoch, state claimed, if the word is what it was.
	MOVD $(1<<const_epochShift), R1
	ADD  R1, R21, R1
	MOVD $const_epochMask, R2
	AND  R2, R1, R1
	BIC  R2, R21, R3
	ORR  R3, R1, R1
	AND  $~const_stateMask, R1, R1
	ORR  $const_claimed, R1, R1
claim:
	LDAXR (R20), R0
	CMP  R0, R21
	BNE  lost
	STLXR R1, (R20), R2
	CBNZW R2, claim
wakeup:
	MOVW watch_wakeFd(R19), R0
	MOVD $watch_one, R1
	ADD  R19, R1, R1
	MOVD $8, R2
	MOVD $SYS_write, R8
	SVC                        // the standby has the processor now
	B    look
lost:
	// The head came back. The reservation is given back; work may have been set aside meanwhile for want of one, so a
	// standby is woken all the same (Pool.unreserve).
	LDAXRW (R12), R0
	ADDW $1, R0, R0
	STLXRW R0, (R12), R1
	CBNZW R1, lost
	B    wakeup

nap:
	// No body, or no standby: sleep. Who begins a body, or comes home, looks at the command afterwards, so say it and then look at
	// both again.
	LDAXRW (R9), R0
	CMPW $const_commandWatch, R0
	BNE  look                  // stop
	MOVD $const_commandSleep, R1
	STLXRW R1, (R9), R2
	CBNZW R2, nap
	DMB  $0xb                  // the looks must not come before the store
	LDAR (R20), R0
	AND  $const_stateMask, R0, R0
	CMP  $const_inBody, R0
	BNE  sleep
	LDARW (R12), R0
	CMPW $0, R0
	BLE  sleep
again:
	LDAXRW (R9), R0
	CMPW $const_commandSleep, R0
	BNE  look
	MOVD $const_commandWatch, R1
	STLXRW R1, (R9), R2
	CBNZW R2, again
	B    look
sleep:
	MOVD $watch_command, R9
	ADD  R19, R9, R0
	MOVD $const_futexWaitPrivate, R1
	MOVD $const_commandSleep, R2
	MOVD $0, R3                // no timeout
	MOVD $SYS_futex, R8
	SVC
	MOVD $watch_command, R9
	ADD  R19, R9, R9
	LDARW (R9), R0
	CMPW $const_commandSleep, R0
	BEQ  sleep                 // for no reason
	B    look

exit:
	MOVD $0, R0
	MOVD $SYS_exit, R8
	SVC
	BRK

// func ticks() uint64
TEXT ·ticks(SB), NOSPLIT, $0-8
	MRS  CNTVCT_EL0, R0
	MOVD R0, ret+0(FP)
	RET
