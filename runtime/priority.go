package runtime

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LowerOthers gives all threads of the process but the loops' (and the threadlet
// model's standbys) that nice value, 1 to 19, so that on a CPU which they share a
// loop's thread outweighs the collector's workers. Threads that Go makes later
// take it over: it never makes one from a locked thread. Call it once, when
// Server.Start has returned: only a privileged process can raise a thread again.
//
// It is for a process whose loops have no CPU to themselves and whose collector has
// much to do: then it works against the loop with as many threads as GOMAXPROCS.
// The rest of the program, helper threads too, gets slower by it.
func LowerOthers(nice int) error {
	if nice < 1 || nice > 19 {
		return fmt.Errorf("%w: nice value %d of the other threads, want 1 to 19", ErrBadOption, nice)
	}
	// A thread may be made while we look, by one that is not lowered yet. Two passes
	// in which nothing is new suffice.
	seen := map[int]bool{}
	for again := 2; again > 0; again-- {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("runtime: cannot list this process's threads: %w", err)
		}
		for _, t := range tasks {
			tid, _ := strconv.Atoi(t.Name())
			if seen[tid] {
				continue
			}
			if err := lower(tid, nice); err != nil {
				return err
			}
			seen[tid], again = true, 2
		}
	}
	return nil
}

func lower(tid, nice int) error {
	name, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/comm", tid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil // it has ended
	}
	if err != nil {
		return fmt.Errorf("runtime: cannot read a thread's name: %w", err)
	}
	if strings.HasPrefix(string(name), "shard") { // see NameThread
		return nil
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("runtime: cannot give a thread nice value %d: %w", nice, err)
	}
	return nil
}
