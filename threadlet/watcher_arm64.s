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

yield:
	MOVD $SYS_sched_yield, R8
	SVC
look:
	MOVD $watch_command, R9
	ADD  R19, R9, R9
	LDARW (R9), R0
	CMPW $const_commandWatch, R0
	BNE  rest
	MOVD watch_word(R19), R20
	LDAR (R20), R21            // the ownership word
	AND  $const_stateMask, R21, R0
	CMP  $const_inBody, R0
	BNE  yield

	// The newest record of the head's ring.
	LSR  $const_threadShift, R21, R0
	AND  $(const_maxThreads-1), R0, R0
	MOVD $ringView__size, R1
	MUL  R1, R0, R0
	MOVD watch_rings(R19), R1
	ADD  R1, R0, R0
	MOVD ringView_head(R0), R10
	LDAR (R10), R11            // bytes written
	CBZ  R11, yield
	SUB  $const_recordSize, R11, R1
	MOVD ringView_mask(R0), R2
	AND  R2, R1, R1
	MOVD ringView_data(R0), R2
	ADD  R2, R1, R1
	MOVD (R1), R3              // header
	MOVD 8(R1), R22            // time
	DMB  $0x9                  // loads before loads: the record, then whether it was still whole
	CMPW $const_recordSwitch, R3
	BNE  yield
	LSR  $32, R3, R3
	MOVD $(const_switchOut|const_switchOutPreempt), R4
	AND  R4, R3, R3
	MOVD $const_switchOut, R4
	CMP  R4, R3
	BNE  yield
	LDAR (R10), R4
	CMP  R4, R11
	BNE  look                  // overwritten meanwhile

	// Blocked. Reserve a standby.
	MOVD watch_free(R19), R12
reserve:
	LDAXRW (R12), R0
	CMPW $0, R0
	BLE  bound
	SUBW $1, R0, R0
	STLXRW R0, (R12), R1
	CBNZW R1, reserve

	// Claim: next epoch, state claimed, if the word is what it was.
	MOVD R22, watch_claimedAtNs(R19)
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
	MOVW watch_wakeFd(R19), R0
	MOVD $watch_one, R1
	ADD  R19, R1, R1
	MOVD $8, R2
	MOVD $SYS_write, R8
	SVC
	B    yield
lost:
	LDAXRW (R12), R0
	ADDW $1, R0, R0
	STLXRW R0, (R12), R1
	CBNZW R1, lost
	B    look

bound:
	// No standby is free: sleep until a head asks again.
	MOVD $watch_command, R9
	ADD  R19, R9, R9
unwatch:
	LDAXRW (R9), R0
	CMPW $const_commandWatch, R0
	BNE  look
	MOVD $const_commandSleep, R1
	STLXRW R1, (R9), R2
	CBNZW R2, unwatch
	B    look

rest:
	CMPW $const_commandSleep, R0
	BNE  exit
	// Announce the sleep, then look again: who changes the command looks at asleep afterwards.
	MOVD $watch_asleep, R9
	ADD  R19, R9, R9
	MOVD $1, R0
	STLRW R0, (R9)
	DMB  $0xb                  // the kernel's look at the command must not come before the store
	MOVD $watch_command, R0
	ADD  R19, R0, R0
	MOVD $const_futexWaitPrivate, R1
	MOVD $const_commandSleep, R2
	MOVD $0, R3                // no timeout
	MOVD $SYS_futex, R8
	SVC
	MOVD $watch_asleep, R9
	ADD  R19, R9, R9
	STLRW ZR, (R9)
	B    look

exit:
	MOVD $0, R0
	MOVD $SYS_exit, R8
	SVC
	BRK
