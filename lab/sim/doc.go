// Package sim counts what a server does per request on a simulated processor:
// instructions, and misses of the caches I1, D1 and LL. Nothing else runs in that
// processor, so that the counts repeat where those of a real one do not; the kernel's
// part is not in them (source result.SourceSim).
//
// The simulator is cachegrind's (Nethercote, Seward: Valgrind, 2007), in the form in
// which callgrind, its sibling, carries it: cachegrind itself can only write its counts
// when the program ends, and the start of a Go program costs more than thousands of
// requests and is never the same twice. What is done about what does not repeat:
//
//	start-up         the counts are of windows of requests, each from one "dump" to the next,
//	                 which are done when a request has woken the loop: forced upon waiting
//	                 threads, they wake all of them
//	the rest         of each count the median of a start's windows, and of the starts' medians:
//	                 what the clock has others do now and then is in few of the windows
//	order            one request at a time: the next is sent when the answer to the last is
//	                 here and no thread of the server is runnable (replay.go)
//	what is sent     a recorded trace (trace.go, record.go)
//	disturbances     a window in which Go's monitor ran, an answer stalled, or there were more
//	                 instructions than in the others is discarded and taken again; a start with
//	                 too few left is made again; what was discarded is in the Result (windows.go)
//	the clock        Go's monitor thread (sysmon) takes the processor from threads that wait
//	                 by the clock, some 6 % of the instructions of an echo; it is stopped
//	                 all the while (freeze.go) and its own counts are left out
//	addresses        no address space randomization, an environment of fixed size; but
//	                 where the allocator puts things still depends on how the start went, and
//	                 with it which lines share a set of the cache: the same program has 0.005
//	                 to 20 D1 misses per echo. So caches are fully associative by default, of
//	                 the machine's sizes; MachineCaches has the machine's ways
//	the collector    GOGC=off
//
// So a count repeats if all starts are within 0.5 %, or, of misses, within Resolution, a
// hundredth of a miss per request: below that 0.5 % of a small figure would be less than
// one miss in a window. A Result in which one does not says so in its Doubts, with which a trial is suspect.
//
// The sizes are passed explicitly and are in the Result: valgrind misreads those of many
// newer processors.
package sim
