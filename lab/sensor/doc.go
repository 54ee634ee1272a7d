// Package sensor measures what a server costs the machine. Each sensor is a small
// type for one quantity or a family of them, with a name, a unit and a source; kinds.go
// lists them, and Costs measures what each costs.
//
// Most look at a process from outside, given its pid, at the two ends of the
// measured window:
//
//	set := sensor.ForProcess(sensor.Target{PID: pid, ServerCPUs: cpus})
//	set.Start()             // at load.PhaseMeasure
//	readings, notes := set.Stop() // at load.PhaseTail
//	metrics := sensor.PerOp(readings, answeredInWindow)
//
// Those that make system calls or switches of threads dearer (bpf programs, perf
// events that follow a thread) are ForTail's: the load goes on for them after the
// window.
//
// One, CacheProbe, runs inside the server, on the thread of the loop.
//
// What cannot be measured is a metric with the reason in Unavailable, never 0.
// What was measured but has a flaw (a thread ended in between and took its counts
// along) is said in a note.
package sensor
