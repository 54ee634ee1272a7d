package threadlet

import "github.com/syslet/syslet/runtime/perfring"

// openPerfRing opens the switch records of the calling thread, which must be locked, and primes them. Output is on.
//
// The wake-up watermark is two records, and the kernel wakes a poller when more than the watermark was written since the
// last wake-up, that is with records 3, 5, 7 and so on. A thread's records alternate, out and in, so once the ring is
// primed with one pair only the *out* records wake. (With a wake-up per record the standby's own departure from the CPU,
// which switches the head in, would wake the standby again, for ever.) Output is therefore paused and resumed only by
// the thread itself: it runs then, so pairs stay pairs.
func openPerfRing() (*perfring.Ring, error) {
	const pages = 1
	r, err := perfring.Open(0, pages, perfring.PairBytes)
	if err != nil {
		return nil, err
	}
	if err := r.Prime(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}
