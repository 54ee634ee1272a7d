package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// boundEnv marks the process that has been bound and executed again.
const boundEnv = "PEERS_BOUND"

// bind restricts the process to the CPUs of list. Threads inherit the mask of
// the one that starts them, and the Go runtime counts CPUs when it starts, so
// the mask is set and the program then executed again: every thread is bound
// and GOMAXPROCS is what Go chooses for so many CPUs.
func bind(list string) error {
	if list == "" || os.Getenv(boundEnv) == list {
		return nil
	}
	var set unix.CPUSet
	if err := parseCPUs(list, &set); err != nil {
		return err
	}
	// execve keeps the mask of the thread that calls it.
	runtime.LockOSThread()
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("--cpus %q: cannot bind: %w", list, err)
	}
	err := syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), boundEnv+"="+list))
	return fmt.Errorf("--cpus %q: cannot execute again: %w", list, err)
}

func parseCPUs(list string, set *unix.CPUSet) error {
	for _, part := range strings.Split(list, ",") {
		lo, hi, ranged := strings.Cut(part, "-")
		first, err1 := strconv.Atoi(lo)
		last, err2 := first, error(nil)
		if ranged {
			last, err2 = strconv.Atoi(hi)
		}
		if err1 != nil || err2 != nil || first < 0 || last < first || last >= len(set)*64 {
			return fmt.Errorf(`--cpus %q: %q is not a CPU or a range like "2-3"`, list, part)
		}
		for cpu := first; cpu <= last; cpu++ {
			set.Set(cpu)
		}
	}
	return nil
}
