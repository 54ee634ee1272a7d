#include "textflag.h"

// func takeCallSite(c *callSite)
//
// BP is the frame pointer of the caller, for this function has no frame: the
// return address lies above what it points to, the next frame pointer at it.
TEXT ·takeCallSite(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ c+0(FP), DI
	MOVQ 8(BP), AX
	MOVQ AX, 0(DI)
	MOVQ 0(BP), CX
	XORQ AX, AX
	TESTQ CX, CX // the goroutine's first function has no caller
	JEQ  done
	MOVQ 8(CX), AX
done:
	MOVQ AX, 8(DI)
	RET
