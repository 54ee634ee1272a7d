// Package runtime is what a server program is written against: connections,
// timers, messages between shards, and syslets, under an execution model that
// is chosen elsewhere (package models) and that the program never learns of.
//
// # Mental model
//
// A Server is a few shards. A Shard is one loop and everything that it alone
// owns: its connections, its timers, an App with its part of the world. The
// thread that runs a shard's loop now is its head. All callbacks of a shard run
// on its head, one at a time, so that an App needs no locks; shards talk by
// messages (Shard.Post) through a matrix of rings that have no locks either.
//
// A callback must not block. What can block is a Syslet, a small program of
// system calls as data, or a Threadlet, any Go function: either is submitted
// and has one of three outcomes.
//
//	Completed   done now; nothing will be delivered later
//	Queued      exactly one completion follows, on the shard
//	Busy        a limit was hit; nothing happened
//
// What becomes of a syslet that must wait is what the models differ in:
//
//	nonblock    tried with the nonblocking form of each call; else a helper
//	            thread makes it, needed or not
//	iouring     its ops are entries of the shard's ring, linked where its flags
//	            and data allow
//	threadlet   it runs in the head's own context, with plain calls; if one
//	            blocks, this thread keeps it and a standby becomes head
//	goroutine   the baseline: a goroutine runs it
//
// # A turn of the loop
//
//	+--> wait --> events: accept, receive, completions --> mail --> timers --> tick
//	|                                                                           |
//	+--- flush: all output of the turn at once <--- endings <-------------------+
//
// One clock is read per turn (Shard.NowNs). Output that callbacks queue is sent
// at the end of the turn, for all connections together: there io_uring batches.
//
// # A syslet's life
//
//	maker's --Submit--> trying --all done--------------------------> maker's   (Completed)
//	                       |
//	                       +--must wait--> in flight --ends/cancelled--> Done  (Queued)
//
// # Ownership
//
// What a shard owns is touched by its head alone. Under the threadlet model the
// head can change, but only while it is inside a syslet or a threadlet's
// function, never inside a callback: what a callback submits there begins to run
// when the callback has returned. So no thread that has lost a shard is still
// inside the application. Loop state lives in the shard and its driver, not on a
// stack; the next head goes on with the next event of the same batch.
//
// # Blocks
//
// Server.Blocks says what held a head up, by call site, with counts and lengths:
// "callback, app.go:41 in os.(*File).Sync, 17 blocks, p50 4 ms". What a callback
// did is a fault of the App; what a body did under the threadlet model is what
// bodies are for. A server that does not block pays for it a load around each
// callback. See Options.BlockThreshold and blocks.go.
//
// # Garbage collection
//
// In steady state neither the runtime nor the workloads here allocate for a
// message, so a loop is never made to help the collector, and a process that does
// nothing else never collects. What the rest of a program allocates does reach its
// loops: not by the pauses, which take about a millisecond, but by the CPU that they
// share with the collector's threads, of which there are up to GOMAXPROCS. 1 GiB of
// objects of 512 bytes marked twice in 3 s on the one CPU of a loop that echoes
// 10,000/s: p99.9 9 ms in every second run and 36 to 62 ms in the others, 2 to 5 ms
// without (three runs of each model; experiments gc and gc-realtime of the lab). What
// holds the loop up there, by the scheduler's trace, is first that it is woken and
// waits for the tick, and then that Go asks it to give way each 10 ms: a goroutine that
// is locked to its thread comes back by way of another thread, which has to get the CPU
// first. A loop that waits does not comply with that (package blocking); one that is
// asked while it works does.
//
// So give loops CPUs of their own and the collector others; keep the heap small or made
// of few large pieces. Where the CPU must be shared, Server.RealtimeLoops takes the
// first of the two away: p99.9 was then 3.4 to 3.9 ms in one run of each model, but 6
// to 53 ms in runs with a collection each second or so. The runtime raises GOMAXPROCS to
// what it needs and no more, see RaiseProcs.
//
// # Limits
//
// Unread bytes, unsent bytes, connections, idle time, operations in flight,
// mail: each has an option, a policy with a name, and a counter in Stats.
//
// The contract that each model keeps is at type Driver; package conformance
// holds every model to it, and package simdriver is a driver with no kernel
// under it, which injects faults.
package runtime
