package runtime

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// RealtimeLoops puts the threads that run loops into the real-time class SCHED_RR,
// lowest priority (sched(7)), so that they get their CPU as soon as they wake, whatever
// else this process or others compute there. It is for a process whose loops share
// their CPUs with a collector that has much to do: the fair class (EEVDF) makes a
// thread wait for the next tick, 4 ms at 250 Hz, if it has had a little more than its
// share lately, even in a short burst, and even if it is of much greater weight. See
// "Garbage collection" in the package comment for figures.
//
// A loop that uses up its CPU then leaves the rest what the kernel keeps for it
// (5 %), collector and helpers too. Under the threadlet model the standbys and the
// functions that they run have the class as well: not for functions that compute for
// long. It takes CAP_SYS_NICE, or RLIMIT_RTPRIO of 1 (EPERM without).
//
// Call it once, after Start; not from a callback. restore gives the threads back as
// they were; call it before Stop, if the process goes on.
func (v *Server) RealtimeLoops() (restore func(), err error) {
	if v.host != nil {
		return nil, fmt.Errorf("%w: RealtimeLoops needs loops with threads of their own, not a Host", ErrBadOption)
	}
	// A loop that runs has named its threads, the standbys too.
	ran := make(chan struct{}, len(v.shards))
	for _, s := range v.shards {
		s.Do(func(*Shard) { ran <- struct{}{} })
	}
	for range v.shards {
		<-ran
	}
	tids, err := loopThreads()
	if err != nil {
		return nil, err
	}
	if len(tids) == 0 {
		return nil, fmt.Errorf("%w: RealtimeLoops needs loops with threads of their own; this model has none", ErrBadOption)
	}
	var before []threadClass
	restore = func() {
		for _, t := range before {
			_ = unix.SchedSetAttr(t.tid, &t.attr, 0) // it may have ended
		}
	}
	for _, tid := range tids {
		t, err := realtime(tid)
		if err != nil {
			restore()
			return nil, err
		}
		if t.tid != 0 {
			before = append(before, t)
		}
	}
	return restore, nil
}

// loopThreads lists the threads of this process that have a shard's name (NameThread).
func loopThreads() (tids []int, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, fmt.Errorf("runtime: cannot list this process's threads: %w", err)
	}
	for _, t := range tasks {
		name, _ := os.ReadFile("/proc/self/task/" + t.Name() + "/comm") // it may have ended
		if tid, err := strconv.Atoi(t.Name()); err == nil && strings.HasPrefix(string(name), "shard") {
			tids = append(tids, tid)
		}
	}
	return tids, nil
}

// threadClass is how a thread was scheduled before.
type threadClass struct {
	tid  int
	attr unix.SchedAttr
}

// realtime gives a thread the class, unless it has one of its own: the threadlet
// model's watchers are to stay behind all others.
func realtime(tid int) (before threadClass, err error) {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return before, fmt.Errorf("runtime: cannot read the class of thread %d: %w", tid, err)
	}
	if attr.Policy != unix.SCHED_NORMAL {
		return before, nil
	}
	// What such a thread makes is none of its kind.
	rr := unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	if err := unix.SchedSetAttr(tid, &rr, 0); err != nil {
		return before, fmt.Errorf("runtime: cannot give a loop's thread the class SCHED_RR (CAP_SYS_NICE or RLIMIT_RTPRIO): %w", err)
	}
	return threadClass{tid: tid, attr: *attr}, nil
}
