package threadlet

import srt "github.com/syslet/syslet/runtime"

// An op that has a nonblocking form may be tried with it, and announced if it is
// refused; or it may just be called, and the detector notices if it blocks. A
// try costs a system call when it fails and, for files, some 50 ns when it does
// not (preadv2 against pread); an announced takeover costs less than a detected
// one. BenchmarkStrategy shows both over the share of calls that do not block.

// tries says whether y is to run from op on as far as it goes without blocking.
func (d *Driver) tries(op *srt.Op) bool {
	return d.strategy != srt.StrategyDetect || !op.HasNonblockingForm()
}

// announces says whether op, at which y stands and which was not done without
// blocking, is to be announced: its form was just refused, and not because this
// file knows no such form; or it waits for a device or the clock by definition.
func (d *Driver) announces(y *srt.Syslet, op *srt.Op) bool {
	switch {
	case d.announceAll || op.Flags&(srt.Async|srt.Direct) != 0 || op.Code == srt.OpSleep:
		return true
	}
	return d.strategy != srt.StrategyDetect && op.HasNonblockingForm() && !y.Formless()
}
