package sensor

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/syslet/syslet/lab/result"
)

// Steal measures, for a set of CPUs, the share of time that the hypervisor gave to
// others ("steal") and that the CPUs worked ("cpu_busy"), in percent, from
// /proc/stat. It counts in ticks of 10 ms: for windows of a second and more.
type Steal struct {
	// suffix of the readings' names: "" for the server's CPUs.
	suffix string
	cpus   []int
	from   map[int]cpuTicks
	err    error
}

// NewSteal makes the sensor for these CPUs, or all if there are none given.
func NewSteal(cpus []int) *Steal { return &Steal{cpus: slices.Clone(cpus)} }

// NewLoadSteal is the same for the CPUs of the load: "steal_load", "cpu_busy_load".
func NewLoadSteal(cpus []int) *Steal { return &Steal{suffix: "_load", cpus: slices.Clone(cpus)} }

// Name implements Sensor.
func (s *Steal) Name() string { return "steal" + s.suffix }

// Close implements Sensor.
func (s *Steal) Close() {}

// Start implements Sensor.
func (s *Steal) Start() { s.from, s.err = readCPUTicks() }

// Stop implements Sensor.
func (s *Steal) Stop() ([]Reading, []string) {
	until, err := readCPUTicks()
	var sum cpuTicks
	if err = errors.Join(s.err, err); err == nil {
		sum, err = ticksBetween(s.from, until, s.cpus)
	}
	if err != nil {
		m := result.Missing(err.Error(), "%", result.SourceProc)
		return []Reading{state("steal"+s.suffix, m), state("cpu_busy"+s.suffix, m)}, nil
	}
	share := func(ticks uint64) result.Metric {
		return result.Of(100*float64(ticks)/float64(sum.all), "%", result.SourceProc)
	}
	return []Reading{state("steal"+s.suffix, share(sum.steal)), state("cpu_busy"+s.suffix, share(sum.all-sum.idle))}, nil
}

// ticksBetween sums over the CPUs wanted, all if none. A counter that ran
// backwards (the kernel allows that of iowait) counts as standing still.
func ticksBetween(from, until map[int]cpuTicks, cpus []int) (cpuTicks, error) {
	var sum cpuTicks
	for number, now := range until {
		before, known := from[number]
		if !known || len(cpus) > 0 && !slices.Contains(cpus, number) {
			continue
		}
		sum.steal += grown(before.steal, now.steal)
		idle := grown(before.idle, now.idle)
		sum.idle += idle
		sum.all += max(grown(before.all, now.all), idle)
	}
	if sum.all == 0 {
		return sum, fmt.Errorf("/proc/stat counted no tick of CPUs %v: the window is shorter than 10 ms, or they are offline", cpus)
	}
	sum.steal = min(sum.steal, sum.all)
	return sum, nil
}

func grown(from, until uint64) uint64 {
	if until < from {
		return 0
	}
	return until - from
}

func readCPUTicks() (map[int]cpuTicks, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil, err
	}
	return parseCPUTicks(text)
}
