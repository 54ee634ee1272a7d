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

// calibrate measures what a walk costs when its lines are there and when not. What
// disturbs a warm walk only makes it longer, hence its lower quartile; of the
// others the median.
func calibrate(c *chase) (ProbeCalibration, error) {
	l2 := cacheBytes(2, defaultL2Bytes)
	last := max(cacheBytes(3, 8*l2), l2)
	others, err := unix.Mmap(-1, 0, int(min(2*last, farthestBytes)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return ProbeCalibration{}, fmt.Errorf("cache probe: mmap of %d bytes: %w", 2*last, err)
	}
	defer unix.Munmap(others)
	for i := 0; i < len(others); i += 4096 {
		others[i] = 1 // a page that was never written is the shared page of zeros
	}
	near := others[:min(int64(len(others)), max(4*l2, 4*int64(c.lines)*lineBytes))]
	var warm, cold, far []int64
	for range calibrationWalks {
		c.fill()
		warm = append(warm, c.timedWalk())
		c.fill()
		touch(near)
		cold = append(cold, c.timedWalk())
	}
	for range farWalks {
		touch(others)
		far = append(far, c.timedWalk())
	}
	k := ProbeCalibration{WarmNs: quantile(warm, 1, 4), ColdNs: quantile(cold, 1, 2), FarNs: quantile(far, 1, 2)}
	if k.ColdNs*10 < k.WarmNs*11 {
		return k, fmt.Errorf("cache probe: a cold walk takes %d ns and a warm one %d ns: a buffer of %d bytes tells nothing here (ProbeConfig.BufferBytes)", k.ColdNs, k.WarmNs, c.lines*lineBytes)
	}
	return k, nil
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
