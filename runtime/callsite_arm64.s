#include "textflag.h"

// func takeCallSite(c *callSite)
//
// R29 is the frame pointer of the caller, for this function has no frame: the
// return address lies above what it points to, the next frame pointer at it.
TEXT ·takeCallSite(SB), NOSPLIT|NOFRAME, $0-8
	MOVD c+0(FP), R0
	MOVD 8(R29), R1
	MOVD R1, 0(R0)
	MOVD 0(R29), R2
	MOVD ZR, R1
	CBZ  R2, done // the goroutine's first function has no caller
	MOVD 8(R2), R1
done:
	MOVD R1, 8(R0)
	RET
