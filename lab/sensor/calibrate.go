package sensor

import (
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// calibrationWalks of each kind, warm and cold in turn, so that a change of the
	// clock or the neighbours meets both alike.
	calibrationWalks = 61
	farWalks         = 3
	// farthestBytes bounds what is read to empty the last level.
	farthestBytes = 128 << 20
)

// sizes are those of the machine's data caches, by level, in bytes.
type sizes struct{ l1, l2, last int64 }

func machineSizes() sizes {
	l2 := cacheBytes(2, defaultL2Bytes)
	return sizes{cacheBytes(1, defaultL1Bytes), l2, max(cacheBytes(3, 8*l2), l2)}
}

// scratch is memory to read in between, twice the last level.
func (z sizes) scratch() ([]byte, error) {
	bytes := int(min(2*z.last, farthestBytes))
	others, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("cache probe: mmap of %d bytes: %w", bytes, err)
	}
	for i := 0; i < len(others); i += 4096 {
		others[i] = 1 // a page that was never written is the shared page of zeros
	}
	return others, nil
}

// calibrate measures what a walk costs when its lines are there and when not: near is
// read in between and displaces them, others displaces all. What disturbs a warm walk
// only makes it longer, hence its lower quartile; of the others the median.
func (l *cacheLevel) calibrate(near, others []byte, walks int) error {
	c := l.chase
	var warm, cold, far []int64
	for range walks {
		warm = append(warm, l.fill())
		l.fill()
		touch(near)
		cold = append(cold, c.timedWalk())
	}
	for range farWalks {
		touch(others)
		far = append(far, c.timedWalk())
	}
	k := ProbeCalibration{WarmNs: quantile(warm, 1, 4), ColdNs: quantile(cold, 1, 2), FarNs: quantile(far, 1, 2)}
	l.calibration = k
	if k.ColdNs*10 < k.WarmNs*11 {
		return fmt.Errorf("cache probe: a cold walk takes %d ns and a warm one %d ns: %d lines in a buffer of %d bytes tell nothing of L%d here (ProbeConfig.BufferBytes)",
			k.ColdNs, k.WarmNs, c.lines, l.bytes, l.level)
	}
	// The half in the middle of the warm walks must lie closer together than warm and
	// cold: otherwise neighbours displace as much as a program would.
	if low, high := k.WarmNs, quantile(warm, 3, 4); 2*(high-low) > k.ColdNs-k.WarmNs {
		return fmt.Errorf("cache probe: warm walks take %d to %d ns and cold ones %d: others on this machine displace L%d meanwhile", low, high, k.ColdNs, l.level)
	}
	return nil
}

const (
	// knownPart of the last level is what seesKnown reads: what a program could.
	knownPart = 8
	// knownTries of it; the median counts.
	knownTries = 9
)

// seesKnown refuses a level that sees nothing of a displacement that is known: a part
// of the cache is read, and at least half of that part must be found displaced. A cache
// that replaces what has been out of use for longest gives up others' lines first, and
// the chase's, which were used just now, not before the whole of it has been read: its
// 0 would say nothing.
func (l *cacheLevel) seesKnown(others []byte, cacheBytes int64) error {
	known := others[:min(int64(len(others)), cacheBytes/knownPart)]
	var found []float64
	for range knownTries {
		warmNs := l.fill()
		touch(known)
		if lines, _, disturbed := l.calibration.displaced(l.chase.timedWalk(), warmNs, l.chase.lines); !disturbed {
			found = append(found, lines*l.perLine)
		}
	}
	want := float64(len(known)) / lineBytes
	slices.Sort(found)
	if len(found) == 0 {
		return fmt.Errorf("cache probe: all of %d walks behind a read of %d KiB were disturbed: nothing is known of L%d here", knownTries, len(known)>>10, l.level)
	}
	if median := found[len(found)/2]; median < want/2 {
		return fmt.Errorf("cache probe: of %.0f lines that a read of %d KiB brought into L%d, the probe saw %.0f displaced, fewer than half: its figure would say nothing of a server",
			want, len(known)>>10, l.level, max(0, median))
	}
	return nil
}

// quantile sorts and takes the value at part/of.
func quantile(ns []int64, part, of int) int64 {
	slices.Sort(ns)
	return ns[len(ns)*part/of]
}

// touch reads every line.
//
//go:norace
func touch(b []byte) {
	var sum byte
	for i := 0; i < len(b); i += lineBytes {
		sum += b[i]
	}
	touched.Store(uint32(sum))
}

// touched keeps the compiler from leaving the reads out. It may be written by
// several probes at once, hence atomic.
var touched atomic.Uint32

// threadSwitches are a thread's involuntary context switches up to now.
type threadSwitches struct {
	tid         int
	involuntary int64
}

func switchesOfThread() threadSwitches {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &usage) != nil {
		return threadSwitches{}
	}
	return threadSwitches{unix.Gettid(), usage.Nivcsw}
}

// preemptedSince reports whether the calling thread lost its CPU against its will.
// If another thread became head in between, nobody knows, and the answer is no.
func (s threadSwitches) preemptedSince() bool {
	now := switchesOfThread()
	return now.tid == s.tid && now.involuntary != s.involuntary
}
