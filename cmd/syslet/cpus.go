package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// parseCPUs reads a list as taskset writes it: "0", "0,2", "1-3"; empty: none.
func parseCPUs(s string) ([]int, error) {
	var cpus []int
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(lo)
		last := first
		if err == nil && isRange {
			last, err = strconv.Atoi(hi)
		}
		if err != nil || first < 0 || last < first || last > 4095 {
			return nil, usage("--cpus %q: want CPU numbers like 0 or 0,2 or 1-3", s)
		}
		for c := first; c <= last; c++ {
			cpus = append(cpus, c)
		}
	}
	return cpus, nil
}

// bindProcess binds all threads of this process, and those that they will
// make, to cpus: Go's own threads must not run on the load's CPU.
func bindProcess(cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	// A thread may be made while we look; one made by a bound thread is bound.
	// Two passes in which nothing is new suffice.
	bound := map[int]bool{}
	for again := 2; again > 0; again-- {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("cannot list this process's threads: %w", err)
		}
		for _, t := range tasks {
			tid, _ := strconv.Atoi(t.Name())
			if bound[tid] {
				continue
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
				return fmt.Errorf("cannot bind to CPUs %v (--cpus): %w", cpus, err)
			}
			bound[tid], again = true, 2
		}
	}
	return nil
}
